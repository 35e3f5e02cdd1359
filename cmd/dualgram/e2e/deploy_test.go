//go:build deploy && linux

package e2e_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// deployFiles are what we recommend to operators, and here is what runs.
const deployFiles = "../../../runbooks/deploy"

func deployed(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(deployFiles, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// replace replaces a text that has to be there.
func replace(t *testing.T, s, old, by string) string {
	t.Helper()
	if !strings.Contains(s, old) {
		t.Fatalf("there is no %q", old)
	}
	return strings.ReplaceAll(s, old, by)
}

// tool fails the test if a program is missing: a check that is left out checks
// nothing.
func tool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%s is needed: apt-get install %s", name, map[string]string{"systemd-analyze": "systemd"}[name]+name)
	}
}

// The image's file system, made by hand: the static binary alone, as the user
// without a name, takes updates in by webhook and by polling.
func TestDeployScratch(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("chroot needs root")
	}
	file := deployed(t, "Containerfile")
	user := regexp.MustCompile(`(?m)^USER (\d+):(\d+)$`).FindStringSubmatch(file)
	if user == nil || !strings.Contains(file, "\nFROM scratch\n") || !strings.Contains(file, `ENTRYPOINT ["dualgram"]`) || !strings.Contains(file, "ENV PATH=/usr/local/bin") {
		t.Fatal("the Containerfile is not what this test builds by hand")
	}
	uid, _ := strconv.Atoi(user[1])
	gid, _ := strconv.Atoi(user[2])
	w := newWorld(t)
	root := w.file("root")
	for _, dir := range []string{"usr/local/bin", "etc/dualgram", "etc/ssl/certs", "var/lib/dualgram", "run/dualgram", "run/secrets"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(root, "usr/local/bin/dualgram"), "dualgram/cmd/dualgram")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, dir := range []string{"var/lib/dualgram", "run/dualgram"} {
		if err := errors.Join(os.Chown(filepath.Join(root, dir), uid, gid), os.Chmod(filepath.Join(root, dir), 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{"cert.pem": "etc/dualgram/cert.pem", "key.pem": "run/secrets/key.pem", "token": "run/secrets/token", "secret": "run/secrets/secret"} {
		data, err := os.ReadFile(w.file(from))
		to = filepath.Join(root, to)
		if err = errors.Join(err, os.WriteFile(to, data, 0o440), os.Chown(to, 0, gid)); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(root, "run/dualgram/control.sock")
	inside := *w.conf
	inside.TokenFile, inside.CertFile, inside.KeyFile, inside.SecretFile = "/run/secrets/token", "/etc/dualgram/cert.pem", "/run/secrets/key.pem", "/run/secrets/secret"
	inside.Store, inside.Socket = "/var/lib/dualgram/dualgram.db", "/run/dualgram/control.sock"
	inside.More = `drills: {windows: ["Mon-Fri 09:00-15:00 Europe/Berlin"]}` // time zones are in the binary
	if err := os.WriteFile(filepath.Join(root, "etc/dualgram/dualgram.yaml"), []byte(inside.yaml()), 0o644); err != nil {
		t.Fatal(err)
	}
	w.conf.Socket = socket
	command := func(args ...string) *exec.Cmd {
		cmd := &exec.Cmd{Path: "/usr/local/bin/dualgram", Args: append([]string{"dualgram"}, args...), Env: []string{"PATH=/usr/local/bin"}, Dir: "/"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return cmd
	}
	p := w.start(command("run"), "run")
	w.steady(p)
	w.path.set(pathRefused)
	p.phase("polling", 15*time.Second)
	w.flows(p, "polling")
	w.path.set(pathOpen)
	p.phase("webhook", 20*time.Second)
	status, err := command("status", "--output", "json").Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || !strings.Contains(string(status), `"phase": "webhook"`) {
		t.Errorf("status in the container: %v %s", err, status)
	}
	if log := p.stderr.String(); strings.Contains(log, "secret_readable") || strings.Contains(log, "can be read by others") {
		t.Error("warned of secrets that are handed over as they should be")
	}
	w.settle(20*time.Second, 0)
	p.stop()
}

// Caddy with the recommended file before dualgram: deliveries get through, from whom
// it may and from nobody else, and nothing else is answered with 2xx.
func TestDeployCaddy(t *testing.T) {
	tool(t, "caddy")
	w := newWorld(t)
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	site := deployed(t, "Caddyfile")
	site = replace(t, site, "reverse_proxy 127.0.0.1:8443 {", "reverse_proxy "+w.conf.Listen+" {")
	site = replace(t, site, "\nbot.example.com {", "\nhttps://"+hookHost+":"+port+" {\n\tbind 127.0.0.1\n\ttls "+w.file("cert.pem")+" "+w.file("key.pem"))
	// What a test needs besides: nothing of it on the machine.
	site = replace(t, site, "\n\tservers {", "\n\tadmin off\n\tauto_https off\n\tstorage file_system "+w.file("caddy")+"\n\tservers {")
	cmd := exec.Command("caddy", "run", "--adapter", "caddyfile", "--config", w.write("Caddyfile", site))
	cmd.Env = append(environment(), "XDG_DATA_HOME="+w.dir, "XDG_CONFIG_HOME="+w.dir)
	caddy := w.start(cmd, "caddy")
	t.Cleanup(caddy.kill)
	eventually(t, 15*time.Second, "caddy", func() error {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return errors.Join(err, caddy.running())
	})
	w.path.target = addr
	w.conf.TLS, w.conf.Webhook = "off", "trusted_proxies: [127.0.0.0/8]"
	w.conf.Networks = "[127.0.0.1]"
	p := w.run()
	w.steady(p)

	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: w.roots, ServerName: hookHost}}}
	ask := func(method, path string, header http.Header) int {
		t.Helper()
		r, err := http.NewRequest(method, "https://"+addr+path, strings.NewReader(`{"update_id":1}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = hookHost + ":" + port
		for k, v := range header {
			r.Header[k] = v
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	for _, path := range []string{"/", "/webhook", "/other"} {
		if code := ask("POST", path, nil); code/100 == 2 {
			t.Errorf("%s is answered with %d", path, code)
		}
	}
	// dualgram is told who connected, and not who that claims to be.
	w.settle(20*time.Second, 0)
	p.stop()
	w.conf.Networks = "[198.51.100.7]"
	p = w.run()
	p.until(15*time.Second, "a listener", func(b botStatus) bool { return b.Webhook != nil && b.Webhook.Listening })
	secret := http.Header{"X-Telegram-Bot-Api-Secret-Token": {w.secret}, "X-Forwarded-For": {"198.51.100.7"}}
	if code := ask("POST", "/webhook/orders", secret); code != http.StatusForbidden {
		t.Errorf("who claims to be Telegram is answered with %d", code)
	}
	p.kill()
	if code := ask("POST", "/webhook/orders", secret); code/100 == 2 {
		t.Errorf("without dualgram, %d", code)
	}
}

// maxExposure is what systemd's own judgement of the unit may be, of 10.
const maxExposure = 2.0

// systemd finds nothing wrong with the unit, and not much exposed.
func TestDeployUnit(t *testing.T) {
	t.Parallel()
	tool(t, "systemd-analyze")
	dir := t.TempDir()
	unit := replace(t, deployed(t, "dualgram.service"), "/usr/local/bin/dualgram ", binary+" ")
	path := filepath.Join(dir, "dualgram.service")
	if err := os.WriteFile(path, []byte(unit), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", "--man=no", path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", path).CombinedOutput()
	score := regexp.MustCompile(`Overall exposure level for dualgram\.service: ([0-9.]+)`).FindSubmatch(out)
	if err != nil || score == nil {
		t.Fatalf("systemd-analyze security: %v\n%s", err, out)
	}
	fmt.Printf("systemd-analyze security: %s of 10 is exposed\n", score[1])
	if v, err := strconv.ParseFloat(string(score[1]), 64); err != nil || v > maxExposure {
		t.Errorf("%s of 10 is exposed; at most %.1f may be", score[1], maxExposure)
	}
}
