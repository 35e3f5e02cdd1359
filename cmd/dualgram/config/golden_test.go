package config

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

const sampleToken = "123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr"

// cases lists the files of a directory, and the environment and the warnings
// that their comments name.
func cases(t *testing.T, dir string, run func(t *testing.T, path string, env, warn []string)) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", dir, err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var env, warn []string
			for line := range strings.SplitSeq(string(data), "\n") {
				if v, ok := strings.CutPrefix(line, "# env: "); ok {
					env = append(env, v)
				}
				if v, ok := strings.CutPrefix(line, "# warn: "); ok {
					warn = append(warn, v)
				}
			}
			run(t, path, env, warn)
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it)\n--- got\n%s\n--- want\n%s", path, got, want)
	}
}

// loadFile loads with a file mode of 0644 whatever the checkout made.
func loadFile(path string, env []string) (*Config, error) {
	return load(path, env, func(p string) ([]byte, fs.FileMode, error) {
		data, _, err := readFile(p)
		return data, 0o644, err
	})
}

func TestRefused(t *testing.T) {
	cases(t, "testdata/bad", func(t *testing.T, path string, env, _ []string) {
		_, err := loadFile(path, env)
		if err == nil {
			t.Fatal("accepted")
		}
		for _, secret := range []string{"AAbbCC", "hunter2", "secretpw", "123:abc"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error shows %q", secret)
			}
		}
		for _, p := range err.(Errors) {
			if p.Fix == "" {
				t.Errorf("no fix: %s", p.Error())
			}
		}
		golden(t, strings.TrimSuffix(path, ".yaml")+".err", err.Error()+"\n")
	})
}

func TestAccepted(t *testing.T) {
	cases(t, "testdata/good", func(t *testing.T, path string, env, warn []string) {
		cfg, err := loadFile(path, env)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range cfg.Warnings {
			got = append(got, w.Code+" "+w.Key)
			if w.What == "" || w.Fix == "" {
				t.Errorf("incomplete: %+v", w)
			}
		}
		slices.Sort(got)
		slices.Sort(warn)
		if !slices.Equal(got, warn) {
			t.Errorf("warnings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(warn, "\n"))
		}

		yaml := PrintYAML(cfg)
		data, err := json.MarshalIndent(Print(cfg), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"AAbbCC", "hunter2"} {
			if strings.Contains(string(yaml)+string(data)+fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg.Bots[0].Token), secret) &&
				!strings.Contains(cfg.Bots[len(cfg.Bots)-1].Webhook.PublicURL, secret) {
				t.Errorf("shows %q", secret)
			}
			if strings.Contains(string(yaml)+string(data), secret) {
				t.Errorf("the print-out shows %q", secret)
			}
		}
		golden(t, strings.TrimSuffix(path, ".yaml")+".print", string(yaml))
		golden(t, strings.TrimSuffix(path, ".yaml")+".json", string(data)+"\n")

		// What is printed says the same.
		again := filepath.Join(t.TempDir(), "again.yaml")
		if err := os.WriteFile(again, yaml, 0o600); err != nil {
			t.Fatal(err)
		}
		back, err := Load(again, env)
		if err != nil {
			t.Fatalf("the print-out is refused: %v\n%s", err, yaml)
		}
		if !reflect.DeepEqual(tree(reflect.ValueOf(cfg).Elem()), tree(reflect.ValueOf(back).Elem())) {
			t.Errorf("the print-out means something else:\n%s", PrintYAML(back))
		}
		if Hash(cfg) != Hash(back) {
			t.Error("the hash depends on more than the values")
		}
	})
}
