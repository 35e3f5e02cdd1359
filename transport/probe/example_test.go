package probe_test

import (
	"context"
	"fmt"
	"net/netip"

	"dualgram/transport/probe"
	"dualgram/transport/webhook"
)

// A process has one Responder, which its listeners and the probers of its bots share.
func Example() {
	responder := new(probe.Responder)
	_ = webhook.Options{
		Exempt:    responder.Exempt,
		Probe:     responder,
		AllowConn: func(netip.Addr) bool { return responder.Busy() },
	}

	prober, err := probe.New(probe.Options{URL: "https://bot.example.com/webhook/orders", Responder: responder})
	if err != nil {
		return
	}
	var judge probe.Judge                         // Reset with each registration
	telegram, _ := netip.ParseAddr("203.0.113.7") // ip_address of getWebhookInfo
	r := prober.Probe(context.Background(), telegram)
	fmt.Println(judge.Add(r), r.Stage, r.Reason, r.Detail)
}
