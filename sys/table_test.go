package sys

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/noctulemq/noctule/shard"
)

var update = flag.Bool("sys.update", false, "write docs/sys.md")

const manual = "../docs/sys.md"

func TestManualHasTheTable(t *testing.T) {
	want := page()
	if *update {
		if err := os.WriteFile(manual, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(manual); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the table says (%v): go test ./sys -run TestManualHasTheTable -sys.update", manual, err)
	}
}

// page is docs/sys.md.
func page() []byte {
	var b bytes.Buffer
	b.WriteString(`# Broker status: the $SYS topics

The broker publishes figures about itself below ` + "`$SYS/broker/`" + `, retained and with QoS 2, so a subscriber to ` + "`$SYS/#`" + ` has all of
them at once and then what changes. A subscription to ` + "`#`" + ` does not include them, and an ` + "`acl_file`" + ` must grant them by name.

They are brought up to date when the broker starts and whenever the clock shows a multiple of ` + "`sys_interval`" + ` (default 10 s): with 10 s
at :00, :10, :20. A topic is published again only when its payload has changed. With ` + "`sys_interval 0`" + ` nothing is published and the
broker does not wake for it. A changed ` + "`sys_interval`" + ` takes effect with SIGHUP; what has been published stays.

Payloads are decimal integers unless the table shows another form. Counts begin at the start of the broker. In a shell, put the topic in
single quotes: ` + "`mosquitto_sub -v -t '$SYS/broker/#'`" + `.

## Topics of Mosquitto 2.1

| below ` + "`$SYS/broker/`" + ` | value |
|---|---|
`)
	row := func(t topic) { fmt.Fprintf(&b, "| `%s` | %s |\n", t.name, t.help) }
	for _, t := range mosquitto {
		row(t)
	}
	b.WriteString(`
## Loads

How often something happened per minute, averaged over 1, 5 and 15 minutes: an exponential moving average, from 0 at the start, with two
decimals. Each name stands for three topics, ` + "`…/1min`, `…/5min` and `…/15min`" + `.

| below ` + "`$SYS/broker/load/`" + ` | per minute |
|---|---|
`)
	for _, l := range loadNames {
		fmt.Fprintf(&b, "| `%s/+` | %s |\n", l.name, l.help)
	}
	b.WriteString(`
## Topics of Noctule

Their names are stable: there may be more of them in another version, but these stay.

| below ` + "`$SYS/broker/`" + ` | value |
|---|---|
`)
	for _, t := range own {
		row(t)
	}
	for _, t := range loopTopics(0) {
		t.name = strings.Replace(t.name, "/0/", "/N/", 1)
		row(t)
	}
	b.WriteString(`
` + "`N`" + ` is a loop, from 0.

## Elsewhere

` + "`$SYS/broker/log/#`" + ` is the log, with ` + "`log_dest topic`" + `. ` + "`$SYS/broker/connection/#`" + ` is the state of bridges.

## Differences from Mosquitto

- ` + "`publish/messages/received`" + ` and its load count every PUBLISH; Mosquitto 2.0 leaves out QoS 2 and retained ones.
- ` + "`clients/connected`" + ` does not count connections that have not sent CONNECT, so ` + "`clients/disconnected`" + ` is never negative.
- ` + "`clients/maximum`" + ` is published, as by 2.0; 2.1.2 does not.
- A load is published again when its two decimals change. Mosquitto 2.0 publishes it only when it has changed by 0.01 or more since the
  last update, so that a slowly falling one stays at an old value.
- Mosquitto 2.0 updates a second later than ` + "`sys_interval`" + ` says and counts from its start; 2.1 follows the clock, as here.
- ` + "`heap/…`" + ` is the heap of Go, with 8 MiB that steer the garbage collector and take no memory.
- ` + "`retained messages/count` and `store/messages/…`" + ` include the topics of Noctule.
- ` + "`packet/out/count`" + ` is an estimate.
- ` + "`messages/inflight` and `mqtt/#`" + ` are in Mosquitto's manual but are published neither by Mosquitto nor here.
`)
	return b.Bytes()
}

func TestTableIsSound(t *testing.T) {
	seen := map[string]bool{}
	for _, x := range topics(3) {
		if seen[x.name] || x.name == "" || strings.ContainsAny(x.name, "+#") || x.text == nil || !strings.HasSuffix(x.help, ".") ||
			strings.Contains(x.help, "|") {
			t.Errorf("topic %q, help %q", x.name, x.help)
		}
		seen[x.name] = true
	}
	if n := len(mosquitto) + len(loadTopics()); n != 56 {
		t.Errorf("%d topics of Mosquitto; 2.1.2 has 55, and clients/maximum", n)
	}
}

// TestEveryCounterHasATopic raises each counter of the shards by itself and looks for a topic that shows it.
func TestEveryCounterHasATopic(t *testing.T) {
	list := topics(1)
	payloads := func(change func(*shard.Counters)) []string {
		s := shard.Snapshot{Loops: make([]shard.LoopSnapshot, 1)}
		change(&s.Counters)
		v := view{start: time.Unix(0, 0)}
		v.take(&s, time.Unix(1, 0))
		v.heap, v.heapMax = 0, 0
		var texts []string
		for i := range list {
			texts = append(texts, list[i].text(&v))
		}
		return texts
	}
	zero := payloads(func(*shard.Counters) {})
	counters := reflect.TypeFor[shard.Counters]()
	for i := range counters.NumField() {
		if !counters.Field(i).IsExported() {
			continue
		}
		n := 1
		if counters.Field(i).Type.Kind() == reflect.Array {
			n = counters.Field(i).Type.Len()
		}
		for at := range n {
			raised := payloads(func(c *shard.Counters) {
				f := reflect.ValueOf(c).Elem().Field(i)
				if f.Kind() == reflect.Array {
					f = f.Index(at)
				}
				if f.CanInt() {
					f.SetInt(7)
				} else {
					f.SetUint(7)
				}
			})
			if reflect.DeepEqual(raised, zero) {
				t.Errorf("no topic shows Counters.%s: add one to the table", counters.Field(i).Name)
			}
		}
	}
}
