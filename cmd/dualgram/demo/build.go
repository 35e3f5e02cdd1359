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

	"github.com/rs/zerolog"
)

const (
	token    = "700000001:AAH-this-token-is-of-no-use-at-all-0"
	hostName = "bot.demo.test"
	// apiDelay is how long a Bot API call takes, give or take a half.
	apiDelay = 60 * time.Millisecond
)

// Setup says where what runs.
type Setup struct {
	BotAPI  string `json:"bot_api"`
	Webhook string `json:"webhook"`
	Bot     string `json:"bot"`
	Dir     string `json:"dir"`
	Log     string `json:"log"`
}

// build starts simulator and sample bot, and puts the host together from a
// configuration file, as an operator would. takeDown ends what it started, but
// not the host.
func (d *demo) build(ctx context.Context, dir string, wg *sync.WaitGroup) (s Setup, takeDown func(), err error) {
	var undo []func()
	takeDown = func() {
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
	}
	defer func() {
		if err != nil {
			takeDown()
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
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := pair.WriteFiles(cert, key); err != nil {
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
	s = Setup{BotAPI: "http://" + api.Addr().String(), Bot: d.bot.url, Dir: dir, Log: filepath.Join(dir, "dualgram.log"),
		Webhook: fmt.Sprintf("https://%s:%d/webhook/demo", hostName, port)}
	file := filepath.Join(dir, "dualgram.yaml")
	if err := os.WriteFile(file, []byte(configuration(s, port, cert, key)), 0o600); err != nil {
		return s, nil, err
	}
	cfg, err := config.Load(file, []string{"DEMO_TOKEN=" + token})
	if err != nil {
		return s, nil, err
	}
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return s, nil, err
	}
	undo = append(undo, func() { _ = log.Close() })
	d.faults = chaos.New(chaos.Options{Enabled: true})
	undo = append(undo, func() { _ = d.faults.Close() })
	d.host, err = host.New(ctx, cfg, host.Options{
		Version: d.o.Version, Logger: zerolog.New(log).Level(zerolog.DebugLevel).With().Timestamp().Logger(),
		Faults: d.faults, MaxHoldDown: HoldDown, Observe: d.observe,
	})
	return s, takeDown, err
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
func configuration(s Setup, port int, cert, key string) string {
	return fmt.Sprintf(`bots:
  - name: demo
    token: ${DEMO_TOKEN}
    webhook:
      public_url: %s
      listen: 127.0.0.1:%d
      tls: {cert_file: %q, key_file: %q}
      allow_networks: any
    deliver:
      forward: {url: %s}
telegram: {api_url: %s}
store: {path: %q}
failover: {hold_down: %s}
control: {socket: %q}
observe: {listen: off}
`, s.Webhook, port, cert, key, s.Bot, s.BotAPI, filepath.Join(s.Dir, "dualgram.db"), HoldDown, filepath.Join(s.Dir, "control.sock"))
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
