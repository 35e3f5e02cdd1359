package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/pki"
	"dualgram/chaos/telegramsim"
	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/host"
	"dualgram/supervisor"
)

const (
	token    = "700000001:AAH-this-token-is-of-no-use-at-all-0"
	hostName = "bot.demo.test"
	// apiDelay is how long a Bot API call takes, give or take a half.
	apiDelay = 60 * time.Millisecond
)

// LogFile is the name of the host's log in the directory.
const LogFile = "dualgram.log"

// Setup says where what runs.
type Setup struct {
	BotAPI  string  `json:"bot_api"`
	Latency [2]int  `json:"latency_ms"` // of the Bot API, least and most
	Webhook string  `json:"webhook"`
	Bot     string  `json:"bot"`
	Rate    float64 `json:"-"` // in Settings
	Chats   int     `json:"-"`
	Config  string  `json:"config"`
	Log     string  `json:"log"`
}

// build starts simulator and sample bot, and puts the host together from a
// configuration file, as an operator would. takeDown ends what it started, but
// not the host.
func (d *demo) build(ctx context.Context, dir, tmp string, wg *sync.WaitGroup) (s Setup, takeDown func(), err error) {
	var undo []func()
	down := func() {
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
	}
	defer func() {
		if err != nil {
			down()
		}
	}()
	now := time.Now()
	if d.ca, err = pki.NewCA(now, "dualgram demo"); err != nil {
		return s, nil, err
	}
	pair, err := d.ca.Issue(now, pki.Leaf{Hosts: []string{hostName}})
	if err != nil {
		return s, nil, err
	}
	if err := pair.WriteFiles(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")); err != nil {
		return s, nil, err
	}
	api, err := listen(ctx)
	if err != nil {
		return s, nil, err
	}
	d.sim = telegramsim.New(telegramsim.Options{Seed: 1, Local: true, Roots: d.ca.Pool()})
	undo = append(undo, d.sim.Close)
	d.sim.SetHost(hostName, "127.0.0.1")
	d.sim.SetKnobs(telegramsim.Knobs{Local: true, Latency: apiDelay / 2, LatencyMax: 3 * apiDelay / 2})
	if d.botID, err = d.sim.AddBot(token); err != nil {
		return s, nil, err
	}
	wg.Go(func() { _ = d.sim.Serve(api) }) // ends with Close
	if d.bot, err = newSampleBot(ctx); err != nil {
		return s, nil, err
	}
	undo = append(undo, d.bot.close)
	port, err := freePort(ctx)
	if err != nil {
		return s, nil, err
	}
	s = Setup{BotAPI: "http://" + api.Addr().String(), Bot: d.bot.url, Rate: d.o.Rate, Chats: d.o.Chats,
		Latency: [2]int{int(apiDelay.Milliseconds() / 2), int(apiDelay.Milliseconds() * 3 / 2)},
		Webhook: fmt.Sprintf("https://%s:%d/webhook/demo", hostName, port),
		Config:  filepath.Join(dir, "dualgram.yaml"), Log: filepath.Join(dir, LogFile)}
	if d.o.Log != "" {
		s.Log = d.o.Log
	}
	c := configuration(s, port, dir, filepath.Join(tmp, "control.sock"))
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "token"), []byte(token+"\n"), 0o600), os.WriteFile(s.Config, []byte(c), 0o600)); err != nil {
		return s, nil, err
	}
	cfg, err := config.Load(s.Config, nil) // the user's own variables have no business here
	if err != nil {
		return s, nil, err
	}
	file, err := os.OpenFile(s.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return s, nil, err
	}
	undo = append(undo, func() { _ = file.Close() })
	log := d.o.Logger(file)
	for _, w := range cfg.Warnings {
		log.Warn().Str("code", w.Code).Str("where", w.Where.String()).Str("fix", w.Fix).Msg(w.What)
	}
	d.faults = chaos.New(chaos.Options{Enabled: true})
	undo = append(undo, func() { _ = d.faults.Close() })
	d.host, err = host.New(ctx, cfg, host.Options{
		Version: d.o.Version, Logger: log, Faults: d.faults, MaxHoldDown: HoldDown, Observe: d.observe,
	})
	return s, down, err
}

// observe hands an event on. A timeline with a gap is better than a host that
// waits for it.
func (d *demo) observe(e supervisor.Event) {
	select {
	case d.events <- e:
	default:
	}
}

// configuration is the host's: what is not named is default.
func configuration(s Setup, port int, dir, socket string) string {
	in := func(name string) string { return filepath.Join(dir, name) }
	return fmt.Sprintf(`bots:
  - name: demo
    token_file: %q
    webhook:
      public_url: %s
      listen: 127.0.0.1:%d
      tls: {cert_file: %q, key_file: %q}
      allow_networks: [127.0.0.1/32]   # where the simulator delivers from
    deliver:
      forward: {url: %s}
telegram: {api_url: %s}
store: {path: %q}
failover: {hold_down: %s}              # 60s by default, and doubled with each relapse
control: {socket: %q}
observe: {listen: off}
`, in("token"), s.Webhook, port, in("cert.pem"), in("key.pem"), s.Bot, s.BotAPI, in("dualgram.db"), HoldDown, socket)
}

func listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", "127.0.0.1:0")
}

func freePort(ctx context.Context) (int, error) {
	ln, err := listen(ctx)
	if err != nil {
		return 0, err
	}
	a, ok := ln.Addr().(*net.TCPAddr)
	if !ok {
		err = errors.New("no TCP address")
	}
	return a.Port, errors.Join(err, ln.Close())
}
