package noctule_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/noctulemq/noctule"

// allowed is the import order of the architecture: for each directory, the directories of ours it may import. A
// directory that is not named may import nothing of ours. Changing this table is a design decision: say why in the
// commit message.
var allowed = map[string][]string{
	"codec":     {},
	"loop":      {},
	"router":    {},
	"config":    {},
	"auth":      {"router"},
	"persist":   {},
	"transport": {"codec"},
	"shard":     {"codec", "loop", "router", "config", "auth", "persist", "transport"},

	"auth/dynsec":         {"auth", "router"},
	"auth/passwd":         {"auth"},
	"logging":             {"config"},
	"persist/mosquittodb": {"codec", "persist", "router"},
	"sys":                 {"auth", "shard"},
	"sparkplug":           {"codec", "shard"},

	"cmd/noctule":     {"codec", "loop", "router", "config", "auth", "auth/dynsec", "auth/passwd", "logging", "sys", "sparkplug", "shard", "persist", "persist/mosquittodb", "transport", "bench", "scripts/tune"},
	"config/gen":      {"config"},
	"bench":           {"codec"},
	"conformance":     {},
	"conformance/gen": {},
	"e2e":             {},
	"parity":          {},
	"scripts/tune":    {},
	"crash":           {"codec"},
	"sim":             {"codec", "loop", "router", "config", "shard", "persist"},
}

// outside is the modules that a shipped package may import, beside the standard library.
var outside = map[string][]string{
	"loop":  {"golang.org/x/sys"},
	"bench": {"golang.org/x/sys"},

	"codec":       {"github.com/klauspost/cpuid/v2"}, // which instructions there are
	"router":      {"github.com/klauspost/cpuid/v2"},
	"auth":        {"golang.org/x/crypto"}, // argon2id
	"auth/passwd": {"golang.org/x/term"},   // a prompt without echo
	"cmd/noctule": {"github.com/spf13/cobra", "github.com/coreos/go-systemd/v22", "golang.org/x/sys"},
	"transport":   {"github.com/gobwas/ws"},
	"persist":     {"github.com/dgraph-io/badger/v4", "google.golang.org/protobuf", "golang.org/x/sys"}, // protobuf: Badger's manifest
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestImportOrder(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	seen := 0
	for {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		dir := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		seen++
		for _, imported := range p.Imports {
			checkEdge(t, dir, imported)
		}
	}
	if seen < 6 {
		t.Fatalf("only %d packages were seen", seen)
	}
}

func checkEdge(t *testing.T, dir, imported string) {
	t.Helper()
	if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
		for _, a := range allowed[dir] {
			if ours == a {
				return
			}
		}
		t.Errorf("%s imports %s, which the architecture does not allow", dir, ours)
		return
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return // standard library
	}
	for _, prefix := range outside[dir] {
		if strings.HasPrefix(imported, prefix) {
			return
		}
	}
	t.Errorf("%s imports %s: name the dependency in outside, and say why in the commit message", dir, imported)
}
