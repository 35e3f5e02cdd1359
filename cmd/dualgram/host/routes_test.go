package host

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"dualgram/cmd/dualgram/config"
)

var update = flag.Bool("update", false, "write the golden files")

// The control API is a contract: what it offers, what that may change, and which
// schemas go in and out.
func TestRoutes(t *testing.T) {
	h := &Host{cfg: config.Defaults()}
	var b strings.Builder
	for _, r := range h.consoleOptions().Routes() {
		i := r.Index()
		if i.Doc == "" || i.Response == "" || (i.Effect == "ro") != (i.Method == "GET") || strings.HasSuffix(i.Doc, ".") {
			t.Errorf("%+v", i)
		}
		request := i.Request
		if request == "" {
			request = "-"
		}
		fmt.Fprintf(&b, "%-6s %-40s %s  %-28s %s\n", i.Method, i.Path, i.Effect, request, i.Response)
	}
	const path = "testdata/routes.golden"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != b.String() {
		t.Errorf("%s differs (go test -update writes it): %v\n%s", path, err, b.String())
	}
}
