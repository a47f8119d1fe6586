package main

import (
	"fmt"
	"os"
	"strings"
)

// statement is one line of statements.tsv.
type statement struct {
	version string // v3.1.1 or v5
	id      string // MQTT-x.y.z-n
	binds   string // server, client, both or other
	reason  string // why no test is wanted; empty when one is
	summary string
}

// key names a statement among those of both versions.
type key struct{ version, id string }

func (s statement) key() key { return key{s.version, s.id} }

// server tells whether a broker has to keep the statement.
func (s statement) server() bool { return s.binds == "server" || s.binds == "both" }

func readStatements(file string) ([]statement, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []statement
	seen := map[key]bool{}
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		columns := strings.Split(line, "\t")
		if len(columns) != 5 {
			return nil, fmt.Errorf("%s:%d: %d columns, want version, identifier, binds, reason and summary", file, i+1, len(columns))
		}
		s := statement{columns[0], columns[1], columns[2], columns[3], columns[4]}
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
		if seen[s.key()] {
			return nil, fmt.Errorf("%s:%d: %s %s is there twice", file, i+1, s.version, s.id)
		}
		seen[s.key()] = true
		list = append(list, s)
	}
	return list, nil
}

func (s statement) check() error {
	switch {
	case s.version != "v3.1.1" && s.version != "v5":
		return fmt.Errorf("version %q, want v3.1.1 or v5", s.version)
	case !identifier.MatchString("[" + s.id + "]"):
		return fmt.Errorf("identifier %q, want MQTT-x.y.z-n", s.id)
	case s.binds != "server" && s.binds != "client" && s.binds != "both" && s.binds != "other":
		return fmt.Errorf("binds %q, want server, client, both or other", s.binds)
	case s.summary == "":
		return fmt.Errorf("no summary")
	}
	return nil
}
