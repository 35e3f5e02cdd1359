package chaos_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"dualgram/chaos"
)

func Example() {
	reg := chaos.New(chaos.Options{Enabled: true})
	defer reg.Close()
	h := reg.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "taken") }))

	// The first two requests fail; whatever happens to this program's plans,
	// the fault is over in six seconds.
	lease, err := reg.Inject(chaos.Spec{Kind: "http.status", For: 6 * time.Second, Count: 2, Params: map[string]string{"code": "503"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/webhook/orders", nil))
		fmt.Println(w.Code)
	}
	fmt.Println("fired", lease.Fired())
	lease.End()
	// Output:
	// 503
	// 503
	// 200
	// fired 2
}
