// Command gen writes the manual page noctule.conf(5), the annotated example configuration, and the table of keys in
// docs/mosquitto-parity.md from config's table of keys, so that none of them can say something else than the parser does. Run it in the module's root: go run ./config/gen
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/noctulemq/noctule/config"
)

// page is a file that is written from the keys.
type page struct {
	path  string
	write func(keys []config.Key, before []byte) []byte // before is the file as it is; nil when there is none
}

func pages() []page {
	return []page{
		{filepath.Join("man", "noctule.conf.5"), manual},
		{filepath.Join("docs", "noctule.conf.example"), example},
		{filepath.Join("docs", "mosquitto-parity.md"), parity},
	}
}

func main() {
	for _, p := range pages() {
		err := os.MkdirAll(filepath.Dir(p.path), 0o755)
		if err == nil {
			before, _ := os.ReadFile(p.path)
			err = os.WriteFile(p.path, p.write(config.Keys(), before), 0o644)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "gen: %s\n", err)
			os.Exit(1)
		}
	}
}

// area is the keys under one heading.
type area struct {
	name string
	keys []config.Key
}

// areas groups keys by heading, in the order of the first key of each.
func areas(keys []config.Key) []area {
	var all []area
	at := map[string]int{}
	for _, k := range keys {
		i, have := at[k.Area]
		if !have {
			i = len(all)
			at[k.Area] = i
			all = append(all, area{name: k.Area})
		}
		all[i].keys = append(all[i].keys, k)
	}
	return all
}
