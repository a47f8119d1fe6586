package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/noctulemq/noctule/config"
)

const root = "../.."

// TestPagesAreUpToDate: what is committed says what the table of keys says now.
func TestPagesAreUpToDate(t *testing.T) {
	for _, p := range pages() {
		got, err := os.ReadFile(filepath.Join(root, p.path))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, p.write(config.Keys(), got)) {
			t.Errorf("%s is out of date: run go run ./config/gen", p.path)
		}
	}
}

// TestParityKeepsWhatPeopleWrote: only what stands between the markers is written anew.
func TestParityKeepsWhatPeopleWrote(t *testing.T) {
	before := []byte("head\n" + parityBegin + "STALE\n" + parityEnd + "tail\n")
	text := string(parity(config.Keys(), before))
	if !strings.HasPrefix(text, "head\n"+parityBegin) || !strings.HasSuffix(text, parityEnd+"tail\n") || strings.Contains(text, "STALE") {
		t.Error(text)
	}
	for _, k := range config.Keys() {
		if !strings.Contains(text, "\n| `"+k.Name+"` |") {
			t.Errorf("%s is missing", k.Name)
		}
	}
}

func TestManualNamesEveryKey(t *testing.T) {
	page := string(manual(config.Keys(), nil))
	for _, k := range config.Keys() {
		if !strings.Contains(page, "\n.B "+roff(k.Name)+"\n") {
			t.Errorf("%s is missing", k.Name)
		}
	}
}

// TestManualHasNoStrayRequests: a line that begins with a dot is one of the requests used here.
func TestManualHasNoStrayRequests(t *testing.T) {
	request := regexp.MustCompile(`^\.(\\"|TH |SH |SS |TP$|B |BR |br$|PP$|nf$|fi$)`)
	for i, line := range strings.Split(string(manual(config.Keys(), nil)), "\n") {
		if (strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'")) && !request.MatchString(line) {
			t.Errorf("line %d: %s", i+1, line)
		}
	}
}

func TestManualFormatsWithoutWarnings(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("groff is not installed")
	}
	for _, name := range []string{"noctule.conf.5", "noctule.8"} {
		cmd := exec.Command(groff, "-man", "-Tascii", "-ww", filepath.Join(root, "man", name))
		var warnings bytes.Buffer
		cmd.Stderr = &warnings
		if err := cmd.Run(); err != nil || warnings.Len() > 0 {
			t.Errorf("%s: %v %s", name, err, warnings.String())
		}
	}
}

func TestExampleIsTheDefault(t *testing.T) {
	c, err := config.Parse("example", example(config.Keys(), nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Listeners) != 0 || len(c.Notes) != 0 {
		t.Errorf("the example as it is changes something: %+v", c)
	}
}

// TestExampleParsesUncommented takes the # from every line that sets a key.
func TestExampleParsesUncommented(t *testing.T) {
	setting := regexp.MustCompile(`(?m)^#([a-z])`)
	text := setting.ReplaceAll(example(config.Keys(), nil), []byte("$1"))
	text = bytes.Replace(text, []byte("include_dir /etc/noctule/conf.d"), []byte("include_dir "+t.TempDir()), 1)
	// The opening lines say password_file already, which must follow per_listener_settings.
	if i := bytes.Index(text, []byte("\n# Listeners")); i >= 0 {
		text = text[i:]
	}
	if _, err := config.Parse("example", text); err != nil {
		t.Fatal(err)
	}
	for _, k := range config.Keys() {
		if k.Class == config.Honoured && !k.Retired && !bytes.Contains(text, []byte("\n"+strings.TrimSuffix(k.Name, "*"))) {
			t.Errorf("the example does not set %s", k.Name)
		}
	}
}
