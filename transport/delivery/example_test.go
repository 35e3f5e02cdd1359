package delivery_test

import (
	"context"
	"encoding/json"
	"fmt"

	"dualgram/transport/delivery"
)

// A bot is a function. Returning nil says that the update was taken; on an
// error it comes again, with the same ID.
func ExampleFunc() {
	bot := delivery.Func(func(ctx context.Context, u delivery.Update) error {
		var update struct {
			Message struct{ Text string }
		}
		if err := json.Unmarshal(u.Raw, &update); err != nil {
			// It would fail again each time: take it and move on.
			return nil //nolint:nilerr // as said
		}
		_, err := fmt.Printf("%d, attempt %d: %s\n", u.ID, u.Attempt, update.Message.Text)
		return err
	})

	err := bot.Deliver(context.Background(), delivery.Update{
		ID: 1001, Attempt: 1, Raw: []byte(`{"update_id":1001,"message":{"text":"hello"}}`),
	})
	fmt.Println(err)
	// Output:
	// 1001, attempt 1: hello
	// <nil>
}
