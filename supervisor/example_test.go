package supervisor_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"os"
	"os/signal"

	"dualgram/store"
	"dualgram/supervisor"
	"dualgram/transport/botapi"
	"dualgram/transport/delivery"
)

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// A bot in Go: its updates come to a function, by webhook or by polling, each
// one on disk before Telegram is told so.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	api := must(botapi.New(botapi.Options{Token: os.Getenv("BOT_TOKEN")}))
	st := must(store.Open(store.Options{Path: "dualgram.db"}))
	defer st.Close()
	pair := must(tls.LoadX509KeyPair("fullchain.pem", "privkey.pem"))
	bot := delivery.Func(func(_ context.Context, u delivery.Update) error {
		fmt.Println(u.ID, u.Kind, u.Source) // an error makes the update come again
		return nil
	})
	sup := must(supervisor.New(ctx, supervisor.Options{
		Health:    st.Health,
		Listeners: []supervisor.ListenerOptions{{Address: ":8443", TLS: &tls.Config{Certificates: []tls.Certificate{pair}}}},
		Bots: []supervisor.BotOptions{{
			Name: "orders", API: api, Ledger: must(st.Ledger(api.BotID())), Handler: bot,
			Webhook: &supervisor.WebhookOptions{Listener: ":8443", Params: botapi.SetWebhook{
				URL: "https://bot.example.com:8443/orders", SecretToken: os.Getenv("SECRET"), MaxConnections: 40}},
		}},
	}))
	log.Print(sup.Run(ctx))
}
