package main

import (
	"fmt"
	"os"
	"path/filepath"

	"dualgram/cmd/dualgram/config"
	"dualgram/runbooks/dashboards"

	"github.com/spf13/cobra"
)

const dashboardLong = `dashboard has the Grafana dashboards of this version: an overview, one bot in depth,
and drills. They work with Grafana 10 and later, with Prometheus as the data source
and dualgram rules in it.`

func (a *app) dashboardCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "dashboard", Short: "List and export dashboards for Grafana", Long: dashboardLong, GroupID: groupSetup,
		Args: subcommandOnly, RunE: needSubcommand}
	cmd.AddCommand(a.dashboardListCommand(), a.dashboardExportCommand())
	return cmd
}

// dashboardList is what dashboard list prints, dualgram/dashboards/v1.
type dashboardList struct {
	Schema     string            `json:"schema"`
	Dashboards []listedDashboard `json:"dashboards"`
}

type listedDashboard struct {
	Name        string `json:"name"`
	Title       string `json:"title"`
	Description string `json:"description"`
}

func (a *app) dashboardListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the dashboards", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			out := dashboardList{Schema: "dualgram/dashboards/v1"}
			rows := [][]cell{header("NAME", "WHAT")}
			for _, d := range dashboards.List() {
				out.Dashboards = append(out.Dashboards, listedDashboard{d.Name, d.Title, d.Description})
				rows = append(rows, cells(plain, d.Name, d.Description))
			}
			if a.json() {
				return a.printJSON(out)
			}
			a.printer(a.stdout).table(rows...)
			return nil
		},
	}
}

func (a *app) dashboardExportCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "export [NAME]", Short: "Print a dashboard, or write all of them",
		Long: `export prints the JSON of a dashboard, for Dashboards › New › Import in Grafana. With
--dir it writes NAME.json into the directory, or all of them without a NAME: such
as into one that Grafana is provisioned from.`,
		Example: "  dualgram dashboard export overview > overview.json\n  dualgram dashboard export --dir /var/lib/grafana/dashboards",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return misuse("one NAME at most", "see "+cmd.CommandPath()+" --help")
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
			if len(args) == 0 {
				for _, d := range dashboards.List() {
					names = append(names, cobra.CompletionWithDesc(d.Name, d.Description))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			all := dashboards.List()
			if len(args) == 1 {
				d, ok := dashboards.Lookup(args[0])
				if !ok {
					return noDashboard(args[0], all)
				}
				all = []dashboards.Dashboard{d}
			}
			if dir != "" {
				return a.writeDashboards(dir, all)
			}
			if len(all) > 1 {
				return misuse("which dashboard?", "name one of those that dualgram dashboard list shows, or write all of them with --dir")
			}
			_, err := a.stdout.Write(all[0].JSON)
			return printed(err)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "write into this `directory` instead of printing")
	return c
}

func noDashboard(name string, all []dashboards.Dashboard) error {
	var names []string
	for _, d := range all {
		names = append(names, d.Name)
	}
	fix := "dualgram dashboard list shows which there are"
	if near, ok := config.Nearest(name, names); ok {
		fix = "did you mean " + near + "?"
	}
	return misuse(fmt.Sprintf("there is no dashboard %q", name), fix)
}

func (a *app) writeDashboards(dir string, all []dashboards.Dashboard) error {
	p := a.printer(a.stdout)
	for _, d := range all {
		path := filepath.Join(dir, d.Name+".json")
		if err := os.WriteFile(path, d.JSON, 0o644); err != nil { //nolint:gosec // for Grafana to read
			return couldNotRun(err.Error(), "the directory must exist and be writable", err)
		}
		if !a.json() {
			p.printf("%s\n", path)
		}
	}
	if a.json() {
		out := dashboardList{Schema: "dualgram/dashboards/v1"}
		for _, d := range all {
			out.Dashboards = append(out.Dashboards, listedDashboard{d.Name, d.Title, d.Description})
		}
		return a.printJSON(out)
	}
	return nil
}
