package check

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/host"
	"dualgram/supervisor/console"
	"dualgram/transport/botapi"
	"dualgram/transport/probe"
)

// Defaults of [Options].
const (
	DefaultTimeout = 15 * time.Second
	DefaultEach    = 5 * time.Second
)

// Live asks the dualgram that runs. Its methods return an error that satisfies
// errors.Is for [ErrNobody] if nobody answers on the socket.
type Live interface {
	Status(ctx context.Context) (console.Status, error)
	Vitals(ctx context.Context) (console.Vitals, error)
	Drills(ctx context.Context) (host.DrillsStatus, error)
}

// ErrNobody says that there is no socket, or that nobody listens on it. Any other error
// means that somebody may.
var ErrNobody = errors.New("nobody answers on the control socket")

// Options says what is checked, and from where. Config and Live are required.
type Options struct {
	// Config is what config.Load returned, and Refused its error.
	Config  *config.Config
	Refused error
	Live    Live

	// Pre: dualgram isn't running yet. Only then are addresses listened on and
	// files written beside the store, for a moment each.
	Pre bool
	// Poll: with Pre, look for another poller by a getUpdates of our own, which breaks
	// off a poll of that one's once. It confirms nothing.
	Poll bool
	// Offline leaves out what comes from beyond this host; Online all else.
	Offline, Online bool
	// Only, if not empty, leaves out all but these codes and categories.
	Only []string
	// Bot, if not empty, leaves out the other bots.
	Bot string
	// Timeout bounds everything, Each a single check; the defaults are 15 s and 5 s.
	Timeout, Each time.Duration
	// Version is that of the command.
	Version string
	// Env is the process's environment, as os.Environ returns it.
	Env []string
	// Progress is told how many of the tasks have ended, and the first code of the
	// one that began or ended. Calls come one at a time.
	Progress func(done, total int, code Code)

	// The seams. Zero values mean this host's own.
	Now      func() time.Time
	Resolver probe.Resolver
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	Listen   func(ctx context.Context, network, addr string) (net.Listener, error)
	Roots    *x509.CertPool // in place of the system's
	// Root is in front of the paths of systemd and /proc; default "/".
	Root string
	// Space says how much room a directory's file system has.
	Space func(dir string) (Space, error)
	// FileLimit is the limit of open files of this process.
	FileLimit func() uint64
}

// Space is the room on a file system.
type Space struct {
	// Free and Total are in bytes; Inodes is how many files it has room for, -1 if
	// that is not bounded.
	Free, Total uint64
	Inodes      int64
}

func (o *Options) withDefaults() {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Each <= 0 {
		o.Each = DefaultEach
	}
	o.Each = min(o.Each, o.Timeout)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	if o.Listen == nil {
		o.Listen = (&net.ListenConfig{}).Listen
	}
	if o.Root == "" {
		o.Root = "/"
	}
	if o.Space == nil {
		o.Space = space
	}
	if o.FileLimit == nil {
		o.FileLimit = host.FileLimit
	}
}

// Validate says which word of Only or Bot means nothing; empty if all is well.
func (o Options) Validate() (wrong string, known []string) {
	known = Categories()
	for _, k := range kinds {
		known = append(known, string(k.Code))
	}
	for _, w := range o.Only {
		if !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, w) }) {
			return w, known
		}
	}
	if o.Bot != "" && o.Refused == nil {
		var bots []string
		for i := range o.Config.Bots {
			bots = append(bots, o.Config.Bots[i].Name)
		}
		if !slices.Contains(bots, o.Bot) {
			return o.Bot, bots
		}
	}
	return "", nil
}

// checkup is one run.
type checkup struct {
	o       Options
	cfg     *config.Config
	bots    []*bot
	status  console.Status
	vitals  *console.Vitals // nil: not known
	nothing bool            // nobody answers on the control socket, for certain
	doors   map[string]*door
	answers probe.Responder

	mu      sync.Mutex
	secrets []string // to be kept out of the report
}

// bot is what is found out about one bot. Fields are written by the task that is
// named, and read by those that wait for it.
type bot struct {
	c     *config.Bot
	index int
	url   *url.URL
	token config.Secret // APIToken

	api     *botapi.Client     // APIReached
	calls   []botapi.Call      // APIReached
	info    botapi.WebhookInfo // APIReached, as of at
	at      time.Time          // APIReached
	infoErr error              // APIReached
	skew    time.Duration      // APIReached: Telegram's clock minus ours
	pair    *pair              // TLSPair
	live    *console.Bot       // LiveAnswers
	vitals  *console.BotVitals // LiveAnswers
}

// Run checks, and returns within the time that the options give, or soon after ctx is
// cancelled.
func Run(ctx context.Context, o Options) Report {
	o.withDefaults()
	begin := time.Now()
	r := Report{Schema: Schema, Mode: ModeLive, StartedAt: o.Now(), File: o.Config.File, Checks: []Result{}}
	if o.Pre {
		r.Mode = ModePre
	}
	r.Partial = o.Offline || o.Online || len(o.Only) > 0 || o.Bot != ""
	k := &checkup{o: o, cfg: o.Config, doors: map[string]*door{}}
	var names []string
	within, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if o.Refused != nil {
		r.Refused = true
		r.Checks = k.refused()
	} else {
		names = k.prepare()
		s := newSchedule(k.tasks(), o.Each, o.Progress)
		s.closure(k.wanted)
		r.Checks = k.selected(k.heed(s.run(within)))
		k.close()
	}
	r.Interrupted = errors.Is(ctx.Err(), context.Canceled)
	if !o.Pre && k.vitals == nil && k.status.Schema == "" {
		r.Mode = ModeDown
	}
	for i := range r.Checks {
		k.dress(&r.Checks[i])
	}
	r.sum(append([]string{""}, names...))
	r.TookS = time.Since(begin).Seconds()
	return r
}

func (k *checkup) prepare() (names []string) {
	for i := range k.cfg.Bots {
		c := &k.cfg.Bots[i]
		if k.o.Bot != "" && c.Name != k.o.Bot {
			continue
		}
		b := &bot{c: c, index: i, url: &url.URL{}}
		if u, err := url.Parse(c.Webhook.PublicURL); err == nil {
			b.url = u
		}
		k.bots = append(k.bots, b)
		names = append(names, c.Name)
	}
	return names
}

// tasks lists everything there is to look at.
func (k *checkup) tasks() []task {
	ts := []task{
		{codes: []Code{ConfigRefused, ConfigOdd}, run: k.config},
		{codes: []Code{ConfigFiles}, run: k.secretFiles},
		{codes: []Code{ConfigOther}, needs: []Code{LiveAnswers}, run: k.otherConfig},
		{codes: []Code{LiveAnswers}, run: k.answering},
		{codes: []Code{LiveVersion, LiveWarnings}, needs: []Code{LiveAnswers}, run: k.running},
		{codes: []Code{StoreDirectory, StorePermissions, StoreSpace, StoreSync}, after: []Code{LiveAnswers}, run: k.disk},
		{codes: []Code{StoreReadable, StoreSchema, StoreHolder}, after: []Code{LiveAnswers}, run: k.store},
		{codes: []Code{StoreCommits}, needs: []Code{LiveAnswers}, run: k.commits},
		{codes: []Code{LimitFiles}, after: []Code{LiveAnswers}, run: k.files},
		{codes: []Code{UnitType, UnitFiles, UnitWatchdog}, after: []Code{LiveAnswers}, run: k.unit},
		{codes: []Code{ObserveListen, ObserveMetrics}, needs: []Code{LiveAnswers}, run: k.observe},
		{codes: []Code{PortControl}, needs: []Code{LiveAnswers}, run: k.controlSocket},
	}
	var reached []task
	for _, b := range k.bots {
		for _, t := range k.botTasks(b) {
			t.bot = b.c.Name
			reached = append(reached, t)
		}
	}
	ts = append(ts, reached...)
	return append(ts, task{codes: []Code{ConfigProxy}, after: []Code{APIReached}, run: k.proxy})
}

func (k *checkup) botTasks(b *bot) []task {
	do := func(f func(context.Context, *bot, *findings)) func(context.Context, *findings) {
		return func(ctx context.Context, out *findings) { f(ctx, b, out) }
	}
	return []task{
		{codes: []Code{APIToken}, run: do(k.readToken)},
		{codes: []Code{APIReached, APIGetMe, APILatency, APIClock, APIHealth}, needs: []Code{APIToken}, run: do(k.telegram)},
		{codes: []Code{TLSPair, TLSUpload}, run: do(k.certificate)},
		{codes: []Code{SecretFile}, run: do(k.secretFile)},
		{codes: []Code{LiveStandby}, needs: []Code{LiveAnswers}, run: do(k.standby)},
		{codes: []Code{PortListen}, needs: []Code{LiveAnswers}, after: []Code{TLSPair}, run: do(k.listener)},
		{codes: []Code{PortPublic}, run: do(k.publicPort)},
		{codes: []Code{PortACME}, needs: []Code{LiveAnswers}, run: do(k.acmePort)},
		{codes: pathCodes, after: []Code{PortListen, APIReached, TLSPair, TLSUpload}, run: do(k.path)},
		{codes: []Code{HTTPRefuses}, after: []Code{PortListen, DNSExists}, run: do(k.strangers)},
		{codes: []Code{WebhookOwner, WebhookRegistered, WebhookSame, WebhookPending, WebhookError, SecretAgrees},
			needs: []Code{APIGetMe}, after: []Code{LiveAnswers, TLSPair}, run: do(k.registration)},
		{codes: []Code{PollerForeign}, needs: []Code{APIGetMe}, after: []Code{LiveAnswers, WebhookOwner}, atLeast: pollMost, run: do(k.poller)},
		{codes: []Code{DeliveryBot}, run: do(k.delivery)},
		{codes: []Code{DrillsFresh}, needs: []Code{LiveAnswers}, run: do(k.drills)},
	}
}

// matches tells whether a code was asked for.
func (k *checkup) matches(c Code) bool {
	kind, _ := Lookup(c)
	if k.o.Online && !kind.Online {
		return false
	}
	return len(k.o.Only) == 0 || slices.ContainsFunc(k.o.Only, func(w string) bool {
		return strings.EqualFold(w, string(c)) || strings.EqualFold(w, string(kind.Category))
	})
}

// wanted tells whether a task has to be done for the code. The running dualgram is
// asked in any case: what it warns of must not pass.
func (k *checkup) wanted(c Code, _ string) bool { return k.matches(c) || c == LiveAnswers }

// selected leaves out what was not asked for, but for a prerequisite that failed.
func (k *checkup) selected(all []Result) []Result {
	missing := map[Code]bool{}
	for _, r := range all {
		if code, ok := strings.CutPrefix(r.Detail, prerequisite); ok && r.Status == Skip && k.matches(r.Code) {
			missing[Code(code)] = true
		}
	}
	return slices.DeleteFunc(all, func(r Result) bool {
		return !k.matches(r.Code) && !(missing[r.Code] && r.Status == Fail)
	})
}

// offline leaves a task out that would ask beyond this host.
func (k *checkup) offline(f *findings, codes ...Code) bool {
	if k.o.Offline {
		f.skipAll(codes, "--offline")
	}
	return k.o.Offline
}

// hide keeps a text out of the report.
func (k *checkup) hide(secret string) {
	if len(secret) < 6 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.secrets = append(k.secrets, secret, url.QueryEscape(secret))
}

// dress adds what the registry knows, and takes out what nobody may see.
func (k *checkup) dress(r *Result) {
	kind, _ := Lookup(r.Code)
	r.Category, r.Name = kind.Category, kind.Name
	bad := r.Status == Warn || r.Status == Fail
	switch {
	case !bad:
		r.Fix, r.Runbook = "", ""
	default:
		if r.Fix == "" {
			r.Fix = kind.Fix
		}
		if r.Runbook == "" {
			r.Runbook = kind.Runbook
		}
	}
	for _, text := range []*string{&r.Detail, &r.Fix} {
		for _, s := range k.secrets {
			*text = strings.ReplaceAll(*text, s, "[secret]")
		}
		*text = botapi.Redact(config.Redact(*text))
	}
}

// alive tells whether a dualgram answers.
func (k *checkup) alive() bool { return k.status.Schema != "" }

// close gives up what was taken for the check.
func (k *checkup) close() {
	for _, d := range k.doors {
		d.close()
	}
	for _, b := range k.bots {
		if b.api != nil {
			b.api.Close()
		}
	}
}
