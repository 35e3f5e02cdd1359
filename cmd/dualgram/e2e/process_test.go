package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one dualgram, or what takes its place in a crash test.
type process struct {
	w      *world
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *output
	stderr *output
	done   chan struct{} // closed when it has ended
	http   *http.Client

	updates bool // standard output is for updates
}

// output collects what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func (o *output) contains(s string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Contains(o.buf.Bytes(), []byte(s))
}

// configure writes the configuration file.
func (w *world) configure() string {
	w.t.Helper()
	return w.write("dualgram.yaml", w.conf.yaml())
}

// environment is that of the children: none of ours but what they need.
func environment(more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}, more...)
}

// run starts `dualgram run` on the world's configuration.
func (w *world) run(args ...string) *process {
	w.t.Helper()
	cmd := exec.Command(binary, append([]string{"run", "--config", w.configure()}, args...)...)
	cmd.Env = environment()
	return w.start(cmd, "run")
}

// runEnv starts `dualgram run` without a file.
func (w *world) runEnv(env []string) *process {
	w.t.Helper()
	cmd := exec.Command(binary, "run")
	cmd.Env = env
	return w.start(cmd, "run")
}

// start starts a child. It can't outlive the test.
func (w *world) start(cmd *exec.Cmd, name string) *process {
	w.t.Helper()
	p := &process{w: w, name: fmt.Sprintf("%s-%d", name, len(w.procs)+1), cmd: cmd, stdout: &output{}, stderr: &output{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	dieWithUs(cmd.SysProcAttr)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	p.stdin = stdin
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	p.http = unixClient(w.conf.Socket)
	w.procs = append(w.procs, p)
	w.t.Cleanup(p.cleanup)
	return p
}

// cleanup ends what the test left, shows its log if the test failed, and looks
// for what must not be in there.
func (p *process) cleanup() {
	p.kill()
	p.http.CloseIdleConnections()
	if !p.updates {
		p.w.vault.search(p.w.t, p.name+" stdout", p.stdout.String())
	}
	p.w.vault.search(p.w.t, p.name+" stderr", p.stderr.String())
	if p.w.t.Failed() {
		p.w.t.Logf("%s:\n%s", p.name, tail(p.stderr.String(), 12<<10))
	}
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "…" + s[len(s)-n:]
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *process) signal(s os.Signal) {
	p.w.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.w.t.Fatalf("%s: %v", s, err)
	}
}

func (p *process) running() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended: %v", p.name, p.cmd.ProcessState)
	default:
		return nil
	}
}

// wait waits for the end and returns the exit code, -1 for a signal.
func (p *process) wait(most time.Duration) int {
	p.w.t.Helper()
	select {
	case <-p.done:
	case <-time.After(most):
		p.w.t.Fatalf("%s has not ended within %v", p.name, most)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) term() { p.signal(syscall.SIGTERM) }

// stop is SIGTERM, and wants exit code 0.
func (p *process) stop() {
	p.w.t.Helper()
	p.term()
	if code := p.wait(20 * time.Second); code != 0 {
		p.w.t.Fatalf("%s: exit code %d after SIGTERM", p.name, code)
	}
}

// cli runs a command to its end. Its output is searched for secrets, too.
func (w *world) cli(args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	return w.command(environment(), args...)
}

func (w *world) command(env []string, args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatalf("dualgram %s: %v", strings.Join(args, " "), err)
	}
	w.vault.search(w.t, "dualgram "+args[0], out.String()+errs.String())
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// refusal runs `dualgram run` and wants it to end by itself, with the exit code
// and with each of the texts on standard error.
func (w *world) refusal(code int, texts ...string) {
	w.t.Helper()
	got, stdout, stderr := w.cli("run", "--config", w.configure())
	w.refused(got, stdout, stderr, code, texts...)
}

func (w *world) refused(got int, stdout, stderr string, code int, texts ...string) {
	w.t.Helper()
	if got != code {
		w.t.Errorf("exit code %d, want %d", got, code)
	}
	if stdout != "" {
		w.t.Errorf("standard output: %q", stdout)
	}
	for _, text := range append(texts, "error: ", "fix: ") {
		if !strings.Contains(stderr, text) {
			w.t.Errorf("standard error does not say %q:\n%s", text, tail(stderr, 2<<10))
		}
	}
}

// refusalEnv is refusal for a start from the environment, with one variable more.
func (w *world) refusalEnv(env []string, code int, variable string, texts ...string) {
	w.t.Helper()
	got, stdout, stderr := w.command(append(env[:len(env):len(env)], variable), "run")
	w.refused(got, stdout, stderr, code, texts...)
}

func unixClient(socket string) *http.Client {
	return &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
		MaxIdleConns: 1, IdleConnTimeout: 5 * time.Second,
	}}
}

// ask reads the status over the control socket.
func (p *process) ask() (status, error) {
	var st status
	resp, err := p.http.Get("http://dualgram/v1/status")
	if err != nil {
		if over := p.running(); over != nil {
			return st, over
		}
		return st, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return st, err
	}
	p.w.vault.search(p.w.t, p.name+" status", string(raw))
	if resp.StatusCode != http.StatusOK {
		return st, fmt.Errorf("status: %s: %s", resp.Status, raw)
	}
	return st, json.Unmarshal(raw, &st)
}

// first is the status of the first bot.
func (p *process) first() (botStatus, error) {
	st, err := p.ask()
	if err != nil {
		return botStatus{}, err
	}
	if len(st.Bots) == 0 {
		return botStatus{}, errors.New("status without bots")
	}
	return st.Bots[0], nil
}

// until waits until the first bot's status satisfies the condition.
func (p *process) until(most time.Duration, what string, cond func(botStatus) bool) botStatus {
	p.w.t.Helper()
	var last botStatus
	eventually(p.w.t, most, what, func() error {
		b, err := p.first()
		if err != nil {
			return err
		}
		last = b
		if !cond(b) {
			return fmt.Errorf("phase %s (trial %v, %s: %s), waiting %d, next: %s, warnings %v", b.Phase, b.Trial, b.Reason, b.Evidence, b.Waiting, b.Next, b.Warnings)
		}
		return nil
	})
	return last
}

// phase waits for the first bot to be in the phase.
func (p *process) phase(name string, most time.Duration) botStatus {
	p.w.t.Helper()
	return p.until(most, "phase "+name, func(b botStatus) bool { return b.Phase == name })
}

// logged waits for a line with all of the texts in the log.
func (p *process) logged(most time.Duration, texts ...string) {
	p.w.t.Helper()
	eventually(p.w.t, most, "log", func() error {
		for line := range strings.Lines(p.stderr.String()) {
			if containsAll(line, texts) {
				return nil
			}
		}
		return fmt.Errorf("no line with %q", texts)
	})
}

func containsAll(s string, texts []string) bool {
	for _, t := range texts {
		if !strings.Contains(s, t) {
			return false
		}
	}
	return true
}

// observe asks the observe listener.
func (p *process) observe(path string) (code int, body string, err error) {
	c := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + p.w.conf.Observe + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	p.w.vault.search(p.w.t, p.name+" "+path, string(raw))
	return resp.StatusCode, string(raw), err
}

// scrape reads the metrics, which hold no secrets, and returns them.
func (p *process) scrape() string {
	p.w.t.Helper()
	code, body, err := p.observe("/metrics")
	if err != nil || code != http.StatusOK {
		p.w.t.Fatalf("metrics: %d %v", code, err)
	}
	return body
}

// unsearched runs a command whose output is meant to hold what others must not.
func (w *world) unsearched(args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = environment()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		w.t.Logf("dualgram %s: %v", strings.Join(args, " "), err)
	}
	w.vault.search(w.t, "dualgram "+args[0], errs.String())
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}
