package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const root = "../.."

// TestPageIsUpToDate: the page says what statements and tests say now.
func TestPageIsUpToDate(t *testing.T) {
	want, _, err := build(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, pageFile))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of date: run make conformance", pageFile)
	}
}

// TestNoStatementIsWithoutATest unless statements.tsv says why.
func TestNoStatementIsWithoutATest(t *testing.T) {
	_, gaps, err := build(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range gaps {
		t.Errorf("%s [%s] has no test: %s", s.version, s.id, s.summary)
	}
}

// TestStatementsAreComplete counts what the appendices of the two standards list.
func TestStatementsAreComplete(t *testing.T) {
	statements, err := readStatements(filepath.Join(root, statementsFile))
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, s := range statements {
		count[s.version]++
	}
	if count["v3.1.1"] != 141 || count["v5"] != 251 {
		t.Errorf("%d statements of 3.1.1 and %d of 5.0, want 141 and 251", count["v3.1.1"], count["v5"])
	}
}

func TestCitations(t *testing.T) {
	versions := map[string][]string{"MQTT-1.0.0-1": {"v3.1.1", "v5"}, "MQTT-1.0.0-2": {"v5"}}
	old1, new1, new2 := key{"v3.1.1", "MQTT-1.0.0-1"}, key{"v5", "MQTT-1.0.0-1"}, key{"v5", "MQTT-1.0.0-2"}
	f := func(doc string, want ...key) {
		t.Helper()
		if got := citations(doc, versions); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", doc, got, want)
		}
	}
	f("no citation")
	f("[MQTT-1.0.0-1] is in both versions")
	f("[MQTT-1.0.0-2] is in one", new2)
	f("v5 [MQTT-1.0.0-1]", new1)
	f("v3.1.1 [MQTT-1.0.0-1] v5 [MQTT-1.0.0-1]", old1, new1)
	f("v5 [MQTT-1.0.0-1],\n[MQTT-1.0.0-2] and [MQTT-1.0.0-1]", new1, new2, new1)
	f("v5 [MQTT-1.0.0-1] and then [MQTT-1.0.0-1]", new1)
	f("of v5 messages [MQTT-1.0.0-1]")
	f("[MQTT-1.0.0-x] [MQTT-1.0-1]")
}
