//go:build lab && linux

package e2e_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"dualgram/chaos/pki"
)

// siteFile is what we recommend to operators, and here is what runs.
const siteFile = "../../../runbooks/deploy/nginx.conf"

// nginxMain is the least around it, as Debian's nginx.conf is: errors to where
// they are read, files to where they may be.
const nginxMain = `daemon off;
user root;
worker_processes 2;
pid %[1]s/nginx.pid;
error_log stderr notice;
events { worker_connections 512; }
http {
    log_format answers '$status by $upstream_addr';
    access_log %[1]s/access.log answers;
    client_body_temp_path %[1]s/temp-body;
    proxy_temp_path %[1]s/temp-proxy;
    fastcgi_temp_path %[1]s/temp-fastcgi;
    uwsgi_temp_path %[1]s/temp-uwsgi;
    scgi_temp_path %[1]s/temp-scgi;
    include %[1]s/site.conf;
}
`

// nginx is the front of one row.
type nginx struct {
	w    *world
	addr string // address and port
	site string // the file as it should be, with the row's names in it
	ca   *pki.CA
	host string
	proc *process
}

// newNginx starts nginx before dualgram, with the recommended configuration.
func newNginx(w *world, n int) *nginx {
	w.t.Helper()
	g := &nginx{w: w, host: frontHost(n), addr: net.JoinHostPort(frontAddr(n), frontPort),
		ca: must(w.ca.Intermediate(time.Now(), "E2E Intermediate"))}
	raw, err := os.ReadFile(siteFile)
	if err != nil {
		w.t.Fatal(err)
	}
	g.site = string(raw)
	for _, r := range [][2]string{
		{"server 127.0.0.1:8443;", "server " + w.conf.Listen + ";"},
		{"listen 443 ", "listen " + g.addr + " "},
		{"server_name bot.example.com;", "server_name " + g.host + ";"},
		{"/etc/letsencrypt/live/bot.example.com/fullchain.pem", w.file("front.pem")},
		{"/etc/letsencrypt/live/bot.example.com/privkey.pem", w.file("front.key")},
	} {
		g.site = swap(w.t, g.site, r[0], r[1])
	}
	g.pair(pki.Leaf{})
	w.write("site.conf", g.site)
	w.write("nginx.conf", fmt.Sprintf(nginxMain, w.dir))
	g.start()
	return g
}

// swap replaces a text that has to be there.
func swap(t testing.TB, s, old, by string) string {
	t.Helper()
	if !strings.Contains(s, old) {
		t.Fatalf("%s has no %q", siteFile, old)
	}
	return strings.ReplaceAll(s, old, by)
}

func (g *nginx) start() {
	g.w.t.Helper()
	cmd := exec.Command("nginx", "-e", "stderr", "-p", g.w.dir, "-c", g.w.file("nginx.conf"))
	cmd.Env = environment()
	g.proc = g.w.start(cmd, "nginx")
	g.w.t.Cleanup(g.stop)
	eventually(g.w.t, 10*time.Second, "nginx", func() error {
		c, err := net.DialTimeout("tcp", g.addr, time.Second)
		if err == nil {
			c.Close()
		}
		return errors.Join(err, g.proc.running())
	})
}

// stop ends nginx at once, with its workers.
func (g *nginx) stop() {
	if g.proc.running() == nil {
		_ = g.proc.cmd.Process.Signal(syscall.SIGTERM)
		<-g.proc.done
	}
}

// reload lets nginx read its files again, as systemctl reload does. Connections
// that idle are closed.
func (g *nginx) reload() {
	g.w.t.Helper()
	g.proc.signal(syscall.SIGHUP)
}

// rewrite reloads with something replaced in the recommended configuration.
func (g *nginx) rewrite(old, by string) {
	g.w.t.Helper()
	g.w.write("site.conf", swap(g.w.t, g.site, old, by))
	g.reload()
}

// pair issues a certificate from the intermediate authority.
func (g *nginx) pair(l pki.Leaf) {
	g.w.t.Helper()
	if l.Hosts == nil {
		l.Hosts = []string{g.host}
	}
	if err := must(g.ca.Issue(time.Now(), l)).WriteFiles(g.w.file("front.pem"), g.w.file("front.key")); err != nil {
		g.w.t.Fatal(err)
	}
}

// repair puts everything back to how it should be.
func (g *nginx) repair() {
	g.w.t.Helper()
	g.pair(pki.Leaf{})
	g.w.write("site.conf", g.site)
	g.reload()
}

// pages counts the requests that nginx answered with 200 by itself.
func (g *nginx) pages() int {
	g.w.t.Helper()
	raw, err := os.ReadFile(g.w.file("access.log"))
	if err != nil {
		g.w.t.Fatal(err)
	}
	return strings.Count(string(raw), "200 by -\n")
}
