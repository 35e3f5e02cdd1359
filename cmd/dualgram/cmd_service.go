package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/service"

	"github.com/spf13/cobra"
)

const (
	defaultUnit = "/etc/systemd/system/dualgram.service"
	// systemctlPatience bounds a call that starts or stops: it waits for READY, or for
	// the bots to take what is waiting.
	systemctlPatience = 3 * time.Minute
)

const serviceLong = `Has systemd run dualgram: as a user without privileges, started again when it ends
or stands still, with the bot's token handed over so that only root and the service
can read it.`

const serviceInstallLong = `Writes a systemd unit for this binary and the configuration, and has systemd start
it at each boot. Run it as root, after dualgram config validate is content. Once
more brings the unit up to date with the configuration.

Files with secrets (token_file, url_file and so on) may belong to root alone: systemd
hands them over. A certificate and its key are read again while dualgram runs, so the
service's user has to be able to read them: name a group that may with --group.

Changes of your own belong into a drop-in (systemctl edit dualgram).`

type serviceFlags struct {
	user, unit, binary string
	groups             []string
	dryRun, now        bool
}

func (a *app) serviceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "service", Short: "Have systemd run dualgram", Long: serviceLong, GroupID: groupSetup,
		Args: subcommandOnly, RunE: needSubcommand,
	}
	var f serviceFlags
	install := &cobra.Command{
		Use: "install", Short: "Write the unit and enable it", Long: serviceInstallLong, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serviceInstall(background(cmd), f) },
	}
	install.Flags().StringVar(&f.user, "user", "", "run as this `user`, which exists; otherwise as one that systemd makes up")
	install.Flags().StringArrayVar(&f.groups, "group", nil, "`group` whose files it may read, such as ssl-cert; may be repeated")
	install.Flags().StringVar(&f.binary, "binary", "", "`file` to run; this very program if left out")
	install.Flags().BoolVar(&f.dryRun, "dry-run", false, "print the unit and change nothing")
	install.Flags().BoolVar(&f.now, "now", false, "start it, too, or restart it if it runs")
	uninstall := &cobra.Command{
		Use: "uninstall", Short: "Stop it and remove the unit", Args: noArgs,
		Long: `Stops dualgram, removes the unit, and leaves the store and the configuration where
they are. The webhook stays registered (see on_stop), and Telegram keeps what it
can't deliver.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serviceUninstall(background(cmd), f) },
	}
	uninstall.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and do nothing")
	status := &cobra.Command{
		Use: "status", Short: "Show what systemd knows about it", Args: noArgs,
		Long: `Shows what systemd knows about dualgram; dualgram status shows what dualgram knows.

Exit codes: 0 it runs; 1 it doesn't.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serviceStatus(background(cmd), f) },
	}
	for _, c := range []*cobra.Command{install, uninstall, status} {
		c.Flags().StringVar(&f.unit, "unit", defaultUnit, "`file` of the unit")
		cmd.AddCommand(c)
	}
	return cmd
}

func background(cmd *cobra.Command) context.Context {
	if ctx := cmd.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}

// serviceName is what systemctl calls the unit.
func (f serviceFlags) serviceName() string { return filepath.Base(f.unit) }

func (f serviceFlags) check() error {
	if !strings.HasSuffix(f.unit, ".service") || !filepath.IsAbs(f.unit) {
		return misuse(fmt.Sprintf("%q is not the full path of a .service file", f.unit), "write one such as "+defaultUnit)
	}
	return nil
}

func (a *app) serviceInstall(ctx context.Context, f serviceFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	file := a.configFile()
	if file == "" {
		return misuse("there is no configuration file", "write "+config.DefaultFile+", or name one with --config")
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return couldNotRun("find the configuration: "+err.Error(), "name it with --config and its full path", err)
	}
	cfg, err := config.Load(file, a.env)
	if err != nil {
		return err
	}
	if f.binary == "" {
		if f.binary, err = ownBinary(); err != nil {
			return couldNotRun("find this program: "+err.Error(), "name it with --binary", err)
		}
	}
	hidden := a.hidden
	if hidden == nil {
		hidden = service.Hidden
	}
	for _, path := range []string{f.binary, file} {
		if why := hidden(path); why != "" {
			return misuse(why, fmt.Sprintf("copy it to where the service sees it, such as /usr/local/bin/dualgram or %s, and use that", config.DefaultFile))
		}
	}
	unit := service.Unit(cfg, service.Options{Binary: f.binary, Config: file, User: f.user, Groups: f.groups})
	a.serviceAdvice(cfg, f)
	if f.dryRun {
		a.printer(a.stdout).printf("%s", unit)
		return nil
	}
	if err := ours(f.unit); err != nil {
		return err
	}
	if err := writeUnit(f.unit, unit); err != nil {
		return unitFailure("write", f.unit, err)
	}
	p := a.printer(a.stdout)
	p.printf("%s %s is written\n", p.paint(green, "ok:"), clean(f.unit))
	if !a.booted() {
		return couldNotRun("this system was not started by systemd, so the unit is written and not enabled", "on a system that was: systemctl daemon-reload && systemctl enable --now "+f.serviceName(), nil)
	}
	steps := [][]string{{"daemon-reload"}, {"enable", f.serviceName()}}
	if f.now {
		steps = append(steps, []string{"restart", f.serviceName()})
	}
	for _, args := range steps {
		if _, err := a.systemctl(ctx, args...); err != nil {
			return err
		}
	}
	if f.now {
		p.printf("%s it runs; dualgram status tells more\n", p.paint(green, "ok:"))
	} else {
		p.printf("It starts at the next boot. Now: systemctl start %s\n", f.serviceName())
	}
	return nil
}

// serviceAdvice says what the unit can't arrange.
func (a *app) serviceAdvice(cfg *config.Config, f serviceFlags) {
	p := a.printer(a.stderr)
	if len(f.groups) == 0 && f.user == "" {
		for _, key := range service.Keys(cfg) {
			if st, err := os.Stat(key); err == nil && st.Mode().Perm()&0o004 == 0 || errors.Is(err, fs.ErrPermission) {
				p.warning(key+" is not for everybody to read, and the service is nobody in particular",
					"put the pair where a group may read it, such as ssl-cert, and name that with --group; see runbooks/deploy/certbot-hook.sh")
				break
			}
		}
	}
	if vars := config.SecretVariables(cfg); len(vars) > 0 {
		p.warning("the configuration takes "+strings.Join(vars, ", ")+" from the environment, and a service has none of yours",
			"write NAME=value lines into "+service.Environment+" (mode 0600), or name files instead")
	}
	for _, c := range service.Credentials(cfg) {
		if strings.HasSuffix(c.Name, "-secret-token") {
			p.warning(c.File+" is handed over when the service starts, so a change of it is seen only by a restart",
				"put it below "+service.StateDirectory+", or leave secret_token_file out and use dualgram config rotate-secret")
		}
	}
	if store := cfg.Store.Path; filepath.Dir(store) != service.StateDirectory && f.user == "" {
		p.warning("the store lies outside of "+service.StateDirectory+", where the made-up user owns nothing", "use --user with the owner of "+filepath.Dir(store)+", or move the store")
	}
}

// ownBinary is this program's file, without links that an upgrade might move.
func ownBinary() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// ours refuses a unit that somebody else wrote.
func ours(path string) error {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return unitFailure("read", path, err)
	case !bytes.Contains(data, []byte(service.Marker)):
		return &failure{code: exitNotOK, message: path + " was not written by dualgram service install", fix: "move it away, or choose another file with --unit"}
	}
	return nil
}

// writeUnit replaces the file as a whole.
func writeUnit(path, text string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".dualgram-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(text)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

func unitFailure(what, path string, err error) error {
	fix := "check the path"
	if errors.Is(err, fs.ErrPermission) {
		fix = "run it as root, for example with sudo"
	}
	return couldNotRun(fmt.Sprintf("%s %s: %v", what, path, err), fix, err)
}

func (a *app) serviceUninstall(ctx context.Context, f serviceFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if _, err := os.Stat(f.unit); errors.Is(err, fs.ErrNotExist) {
		return &failure{code: exitNotOK, message: "there is no " + f.unit, fix: "name the unit's file with --unit"}
	}
	if err := ours(f.unit); err != nil {
		return err
	}
	p := a.printer(a.stdout)
	if f.dryRun {
		p.printf("Would stop and disable %s, and remove %s.\n", f.serviceName(), clean(f.unit))
		return nil
	}
	if a.booted() {
		if _, err := a.systemctl(ctx, "disable", "--now", f.serviceName()); err != nil {
			return err
		}
	}
	if err := os.Remove(f.unit); err != nil {
		return unitFailure("remove", f.unit, err)
	}
	if a.booted() {
		if _, err := a.systemctl(ctx, "daemon-reload"); err != nil {
			return err
		}
	}
	p.printf("%s %s is removed. The store is kept in %s; Telegram keeps the webhook, and what it can't deliver for a day at most.\n",
		p.paint(green, "ok:"), clean(f.unit), service.StateDirectory)
	return nil
}

// serviceState is what service status prints, dualgram/service/v1.
type serviceState struct {
	Schema   string `json:"schema"`
	Unit     string `json:"unit"`
	OK       bool   `json:"ok"` // it runs
	Load     string `json:"load"`
	Active   string `json:"active"`
	Sub      string `json:"sub"`
	Status   string `json:"status"` // what dualgram told systemd
	Since    string `json:"since"`
	PID      string `json:"pid"`
	Restarts string `json:"restarts"`
	Enabled  string `json:"enabled"`
	Result   string `json:"result"`
}

func (a *app) serviceStatus(ctx context.Context, f serviceFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	out, err := a.systemctl(ctx, "show", f.serviceName(), "--property", "LoadState,ActiveState,SubState,StatusText,ActiveEnterTimestamp,MainPID,NRestarts,UnitFileState,Result")
	if err != nil {
		return err
	}
	s := serviceState{Schema: "dualgram/service/v1", Unit: f.serviceName()}
	for line := range strings.Lines(string(out)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		for name, field := range map[string]*string{"LoadState": &s.Load, "ActiveState": &s.Active, "SubState": &s.Sub, "StatusText": &s.Status,
			"ActiveEnterTimestamp": &s.Since, "MainPID": &s.PID, "NRestarts": &s.Restarts, "UnitFileState": &s.Enabled, "Result": &s.Result} {
			if k == name {
				*field = v
			}
		}
	}
	s.OK = s.Active == "active"
	if a.json() {
		if err := a.printJSON(s); err != nil {
			return err
		}
	} else {
		p := a.printer(a.stdout)
		state := styled(green, s.Active+" ("+s.Sub+")")
		if !s.OK {
			state = styled(red, s.Active+" ("+s.Sub+", "+s.Result+")")
		}
		rows := [][]cell{{text("unit"), text(s.Unit + ", " + joinWords(", ", s.Load, s.Enabled))}, {text("state"), state}}
		if s.OK {
			rows = append(rows, []cell{text("since"), text(s.Since)}, []cell{text("says"), text(s.Status)}, []cell{text("process"), text(s.PID)})
		}
		p.table(append(rows, []cell{text("restarts"), text(s.Restarts)})...)
	}
	if !s.OK {
		return notOK()
	}
	return nil
}

// booted says whether systemd runs this system (sd_booted(3)).
func (a *app) booted() bool {
	if a.runSystemctl != nil {
		return true
	}
	st, err := os.Lstat("/run/systemd/system")
	return err == nil && st.IsDir()
}

// systemctl runs it and returns what it prints.
func (a *app) systemctl(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, systemctlPatience)
	defer cancel()
	run := a.runSystemctl
	if run == nil {
		run = func(ctx context.Context, args ...string) ([]byte, error) {
			cmd := exec.CommandContext(ctx, "systemctl", args...)
			var out, said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &said
			err := cmd.Run()
			if s := strings.TrimSpace(said.String()); err != nil && s != "" {
				err = fmt.Errorf("%w: %s", err, s)
			}
			return out.Bytes(), err
		}
	}
	out, err := run(ctx, args...)
	if err != nil {
		fix := "see journalctl -u dualgram, and systemctl status dualgram"
		if errors.Is(err, exec.ErrNotFound) {
			fix = "this needs systemd; elsewhere let your service manager run: dualgram run"
		}
		return nil, couldNotRun("systemctl "+strings.Join(args, " ")+": "+clean(err.Error()), fix, err)
	}
	return out, nil
}
