// Package stage puts a whole world on one machine for as long as it is looked at: a
// simulator of Telegram's server, a bot host with real TLS, made from a
// configuration file as an operator would write it, and a sample bot behind it that
// keeps a record. All of it is on loopback; it needs no token and no network.
//
// The guarantee: what [Compare] and [Rehearsal.Books] tell comes from the
// simulator's truth and from the sample bot's own record alone, never from what
// dualgram says of itself. Nothing is left behind: no goroutine once [Stage.Close]
// has returned, and no file but in Options.Dir and at Options.Socket.
package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	token = "700000001:AAH-this-token-is-of-no-use-at-all-0"
	// apiDelay is how long a Bot API call takes, give or take a half.
	apiDelay = 60 * time.Millisecond
)

// LogFile is the name of the host's log in the directory, unless another is asked
// for; ConfigFile is that of its configuration.
const (
	LogFile    = "dualgram.log"
	ConfigFile = "dualgram.yaml"
)

// Options is what a [Stage] is made of.
type Options struct {
	// Name is the bot's, and part of the webhook's address: lower-case letters.
	Name string
	// Dir is where everything is written. Socket is the path of the control socket,
	// which must be short.
	Dir, Socket string
	// Seed determines what is random at Telegram.
	Seed uint64
	// HoldDown is failover.hold_down, and nothing doubles it; 0 means the defaults.
	HoldDown time.Duration
	// Probe lets the host look at its webhook from outside, as it would where the
	// name can be resolved.
	Probe bool
	// More are further sections of the configuration.
	More string
	// Log is the file for the host's log, which is appended to; "" is LogFile in the
	// directory. Logger makes the host's logger from it; nil is zerolog's own at the
	// info level.
	Log     string
	Logger  func(io.Writer) zerolog.Logger
	Version string
	// Faults are the host's; nil means those of its configuration.
	Faults *chaos.Registry
	// Observe sees each event of the bot. It must not block.
	Observe func(supervisor.Event)
	// Simulated goes to the host.
	Simulated *host.Simulated
}

// Setup says where what runs.
type Setup struct {
	BotAPI  string
	Latency [2]int // of the Bot API in milliseconds, least and most
	Webhook string
	Bot     string
	Config  string
	Log     string
}

// Stage is a world that has been put together.
type Stage struct {
	Sim   *telegramsim.Sim
	BotID int64
	Bot   *SampleBot
	Host  *host.Host
	CA    *pki.CA
	Setup Setup

	undo []func()
	wg   sync.WaitGroup
}

// New starts the simulator and the sample bot, and makes the host, which has to be
// run, or closed if it is not. Close ends the rest.
func New(ctx context.Context, o Options) (_ *Stage, err error) {
	s := &Stage{}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	in := func(name string) string { return filepath.Join(o.Dir, name) }
	hostName := "bot." + o.Name + ".test"
	now := time.Now()
	if s.CA, err = pki.NewCA(now, "dualgram "+o.Name); err != nil {
		return nil, err
	}
	mid, err := s.CA.Intermediate(now, "dualgram "+o.Name+", intermediate")
	if err != nil {
		return nil, err
	}
	pair, err := mid.Issue(now, pki.Leaf{Hosts: []string{hostName}})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(pair.WriteFiles(in("cert.pem"), in("key.pem")), pki.WriteFile(in("ca.pem"), s.CA.RootPEM()), pki.WriteFile(in("token"), []byte(token+"\n"))); err != nil {
		return nil, err
	}
	api, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	s.Sim = telegramsim.New(telegramsim.Options{Seed: o.Seed, Local: true, Roots: s.CA.Pool()})
	s.undo = append(s.undo, s.Sim.Close)
	s.Sim.SetHost(hostName, "127.0.0.1")
	s.Sim.SetKnobs(telegramsim.Knobs{Local: true, Latency: apiDelay / 2, LatencyMax: 3 * apiDelay / 2})
	if s.BotID, err = s.Sim.AddBot(token); err != nil {
		_ = api.Close()
		return nil, err
	}
	s.wg.Go(func() { _ = s.Sim.Serve(api) }) // ends with Close
	if s.Bot, err = newSampleBot(ctx); err != nil {
		return nil, err
	}
	s.undo = append(s.undo, s.Bot.close)
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	s.Setup = Setup{BotAPI: "http://" + api.Addr().String(), Bot: s.Bot.url,
		Latency: [2]int{int(apiDelay.Milliseconds() / 2), int(apiDelay.Milliseconds() * 3 / 2)},
		Webhook: fmt.Sprintf("https://%s:%d/webhook/%s", hostName, port, o.Name),
		Config:  in(ConfigFile), Log: in(LogFile)}
	if o.Log != "" {
		s.Setup.Log = o.Log
	}
	if err := os.WriteFile(s.Setup.Config, []byte(configuration(o, s.Setup, port, in)), 0o600); err != nil {
		return nil, err
	}
	return s, s.makeHost(ctx, o)
}

// makeHost makes the host from its configuration file.
func (s *Stage) makeHost(ctx context.Context, o Options) error {
	cfg, err := config.Load(s.Setup.Config, nil) // the user's own variables have no business here
	if err != nil {
		return err
	}
	file, err := os.OpenFile(s.Setup.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	s.undo = append(s.undo, func() { _ = file.Close() })
	if o.Logger == nil {
		o.Logger = func(w io.Writer) zerolog.Logger { return zerolog.New(w).Level(zerolog.InfoLevel) }
	}
	log := o.Logger(file)
	for _, w := range cfg.Warnings {
		log.Warn().Str("code", w.Code).Str("where", w.Where.String()).Str("fix", w.Fix).Msg(w.What)
	}
	s.Host, err = host.New(ctx, cfg, host.Options{
		Version: o.Version, Logger: log, Faults: o.Faults, MaxHoldDown: o.HoldDown, Observe: o.Observe, Simulated: o.Simulated,
	})
	return err
}

// Close ends what New started. The host must have ended before, or it meets a
// Telegram that has gone.
func (s *Stage) Close() {
	for i := len(s.undo) - 1; i >= 0; i-- {
		s.undo[i]()
	}
	s.undo = nil
	s.wg.Wait()
}

// Traffic is a stream of updates that has begun. It must be stopped.
type Traffic struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

// StartTraffic sends so many updates a second from so many chats.
func (s *Stage) StartTraffic(seed uint64, rate float64, chats int) *Traffic {
	ctx, cancel := context.WithCancel(context.Background())
	t := &Traffic{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		t.err = telegramsim.Traffic{Seed: seed, Bot: s.BotID, Rate: rate, Chats: chats}.Run(ctx, s.Sim)
	}()
	return t
}

// Stop ends the traffic, and returns what went wrong with it. Stopping twice is
// fine.
func (t *Traffic) Stop() error {
	t.cancel()
	<-t.done
	return t.err
}

// Arrived tells whether the bot has everything that was sent.
func (s *Stage) Arrived() (bool, error) {
	truth, err := s.Sim.Bot(s.BotID)
	return err == nil && truth.Pending == 0 && s.Bot.Distinct() >= truth.Counters.Pushed, err
}

// configuration is the host's: what is not named is default.
func configuration(o Options, s Setup, port int, in func(string) string) string {
	probe, holdDown := "", ""
	if o.Probe {
		probe = fmt.Sprintf("\n      probe: {dial: 127.0.0.1:%d, ca_file: %q}", port, in("ca.pem"))
	}
	if o.HoldDown > 0 {
		holdDown = fmt.Sprintf("failover: {hold_down: %s}              # 60s by default, and doubled with each relapse\n", o.HoldDown)
	}
	return fmt.Sprintf(`bots:
  - name: %s
    token_file: %q
    webhook:
      public_url: %s
      listen: 127.0.0.1:%d
      tls: {cert_file: %q, key_file: %q}
      allow_networks: [127.0.0.1/32]   # where the simulator delivers from%s
    deliver:
      forward: {url: %s}
telegram: {api_url: %s}
store: {path: %q}
%scontrol: {socket: %q}
observe: {listen: off}
%s`, o.Name, in("token"), s.Webhook, port, in("cert.pem"), in("key.pem"), probe, s.Bot, s.BotAPI, in("dualgram.db"), holdDown, o.Socket, o.More)
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

// EmptyDir makes the directory if need be, and refuses one that holds something: a
// store of another run would begin with the state and the addresses of that one.
func EmptyDir(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err == nil {
		err = os.MkdirAll(path, 0o700)
	}
	if err != nil {
		return "", err
	}
	entries, err := os.ReadDir(path)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is not empty: name a new directory", path)
	}
	return path, err
}
