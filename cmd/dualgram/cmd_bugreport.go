package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/host"
	"dualgram/supervisor/console"

	"github.com/spf13/cobra"
)

const bugreportLong = `bugreport gathers what somebody else needs to understand what is wrong: the state of
each bot, the configuration, the journal of the last hour, metrics, the stacks of all
goroutines, what is in the store in numbers, the machine. It writes one .tar.gz, mode
0600, and sends nothing anywhere.

Left out are the token, all secrets, message text, the numbers of chats, the paths of
URLs, the arguments of hooks, and the machine's name. Host names and the paths of files
are in it: look through it before you pass it on.

If no dualgram answers, it has the parts that need none.

Exit codes: 0 whole; 1 some parts are missing, and the report says which; 2 misuse;
3 it could not be written.`

// schemaBugreport is what bugreport prints as JSON.
const schemaBugreport = "dualgram/bugreport/v1"

// reportTimeout bounds each part.
const reportTimeout = 15 * time.Second

// bugreport is what was written.
type bugreport struct {
	Schema string          `json:"schema"`
	File   string          `json:"file"`
	Bytes  int64           `json:"bytes"`
	Parts  []bugreportPart `json:"parts"`
}

type bugreportPart struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
	Error string `json:"error,omitempty"`
	data  []byte
}

func (a *app) bugreportCommand() *cobra.Command {
	var out string
	c := &cobra.Command{Use: "bugreport", Short: "Gather what is needed to report a bug, without secrets", Long: bugreportLong, GroupID: groupWatch, Args: noArgs,
		Example: "  dualgram bugreport\n  dualgram bugreport --out /tmp/report.tar.gz",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.bugreport(contextOr(cmd.Context()), out, time.Now())
		}}
	c.Flags().StringVar(&out, "out", "", "the `file` to write, which must not exist; by default dualgram-report-TIME.tar.gz here")
	return c
}

func (a *app) bugreport(ctx context.Context, file string, now time.Time) error {
	if file == "" {
		file = "dualgram-report-" + now.UTC().Format("20060102T150405Z") + ".tar.gz"
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		fix := "name another one with --out"
		if errors.Is(err, fs.ErrExist) {
			fix = "it is there already; " + fix
		}
		return couldNotRun("write the report: "+err.Error(), fix, err)
	}
	parts := a.reportParts(ctx)
	n, err := writeReport(f, parts, now)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(file)
		return couldNotRun("write the report: "+err.Error(), "name a file on another disk with --out", err)
	}
	out := bugreport{Schema: schemaBugreport, File: file, Bytes: n, Parts: parts}
	missing := slices.ContainsFunc(parts, func(p bugreportPart) bool { return p.Error != "" })
	if a.json() {
		err = a.printJSON(out)
	} else {
		printReport(a.printer(a.stdout), out)
	}
	if err == nil && missing {
		err = notOK()
	}
	return err
}

func printReport(p *printer, r bugreport) {
	for _, part := range r.Parts {
		if part.Error != "" {
			p.printf("%s %s: %s\n", p.paint(yellow, "missing:"), oneLine(part.Name), oneLine(part.Error))
		}
	}
	p.printf("%s %s, %s in %s. Look through it before you pass it on: tar -xzOf %s | less\n", p.paint(green, "written:"), oneLine(r.File), size(r.Bytes), plural(len(r.Parts), "part"), oneLine(r.File))
}

// reportParts asks the running dualgram for its parts, and adds what can be told
// without it.
func (a *app) reportParts(ctx context.Context) (parts []bugreportPart) {
	line := a.progressLine()
	defer line.clear()
	line.show("report: asking dualgram …")
	add := func(name string, data []byte, err error) {
		p := bugreportPart{Name: name, data: data}
		if err != nil {
			p.Error = config.Redact(err.Error())
			p.data = []byte("missing: " + p.Error + "\n")
		}
		p.Bytes = len(p.data)
		parts = append(parts, p)
	}
	add("client.txt", []byte(version().String()+"\n"), nil)
	c, err := a.control()
	var list console.Report
	if err == nil {
		err = c.get(ctx, "/v1/report", nil, console.SchemaReport, &list)
	}
	if err != nil {
		add("dualgram", nil, err)
	}
	have := map[string]bool{}
	for i, p := range list.Parts {
		line.show(fmt.Sprintf("report: %s, %d of %d …", p.Name, i+1, len(list.Parts)))
		data, err := c.send(ctx, http.MethodGet, "/v1/report/"+url.PathEscape(p.Name), nil, nil, reportTimeout)
		add(p.Name, data, err)
		have[p.Name] = err == nil
	}
	line.show("report: this machine …")
	cfg, cfgErr := config.Load(a.configFile(), a.env)
	if cfgErr != nil {
		cfg = nil
		add("config-here.txt", []byte(config.Redact(cfgErr.Error())+"\n"), nil)
	}
	local, err := host.LocalReport(cfg)
	for _, name := range slices.Sorted(maps.Keys(local)) {
		if !have[name] {
			add("local-"+name, local[name], err)
		}
	}
	return parts
}

const reportReadme = `A report of dualgram, made at %s. Nothing was sent anywhere.

It holds no token, no secret, no message text and no number of a chat. Host names and
paths of files are in it.

%s`

// writeReport writes the archive, and returns its size.
func writeReport(f *os.File, parts []bugreportPart, now time.Time) (int64, error) {
	z := gzip.NewWriter(f)
	t := tar.NewWriter(z)
	var list strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&list, "%-20s %8d  %s\n", p.Name, p.Bytes, p.Error)
	}
	put := func(name string, data []byte) error {
		h := &tar.Header{Name: "dualgram-report/" + name, Mode: 0o600, Size: int64(len(data)), ModTime: now.Truncate(time.Second)}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		_, err := bytes.NewReader(data).WriteTo(t)
		return err
	}
	err := put("README.txt", fmt.Appendf(nil, reportReadme, now.UTC().Format(time.RFC3339), list.String()))
	for _, p := range parts {
		err = errors.Join(err, put(p.Name, p.data))
	}
	if err = errors.Join(err, t.Close(), z.Close(), f.Sync()); err != nil {
		return 0, err
	}
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}
