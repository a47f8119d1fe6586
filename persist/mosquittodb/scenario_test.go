package mosquittodb

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/persist"
)

var record = flag.Bool("record", false, "write the files in testdata anew")

const never = ^uint32(0)

// sessions are the clients of the scenario, as they connect. Those without a user name come first: 2.0.11 would write that
// of another for them.
var sessions = []struct {
	v codec.Version
	c codec.Connect
}{
	{codec.V31, codec.Connect{ClientID: "away3"}},
	{codec.V311, codec.Connect{ClientID: "incoming4"}},
	{codec.V5, codec.Connect{ClientID: "forever5", HasSessionExpiry: true, SessionExpiry: never}},
	{codec.V5, codec.Connect{ClientID: "willing5", HasSessionExpiry: true, SessionExpiry: 100, HasWill: true,
		Will: codec.Will{Topic: "w", Payload: []byte("will"), DelaySeconds: 50}}},
	{codec.V311, codec.Connect{ClientID: "window4", HasUserName: true, UserName: "anna"}},
	{codec.V5, codec.Connect{ClientID: "options5", HasUserName: true, UserName: "ute", HasSessionExpiry: true, SessionExpiry: 1000}},
}

// fill gives a broker content of every kind that Mosquitto stores.
func fill(t *testing.T, b *broker) {
	var peers []*peer
	for _, s := range sessions {
		p, _ := b.connect(s.v, s.c)
		peers = append(peers, p)
	}
	away, incoming, forever, willing, window, options := peers[0], peers[1], peers[2], peers[3], peers[4], peers[5]
	away.subscribe(0, codec.Subscription{Filter: "t/#", QoS: 1})
	away.leave()
	forever.subscribe(0, codec.Subscription{Filter: "t/1", QoS: 1})
	forever.subscribe(0, codec.Subscription{Filter: "a//+", QoS: 0})
	forever.leave()
	willing.leave()
	options.subscribe(7, codec.Subscription{Filter: "t/+", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 1})
	options.subscribe(300_000, codec.Subscription{Filter: "t/#", QoS: 1})
	options.leave()
	window.subscribe(0, codec.Subscription{Filter: "t/#", QoS: 2})

	user := codec.Connect{ClientID: "pub", CleanStart: true, HasUserName: true, UserName: "pete"}
	pub, _ := b.connect(codec.V5, user)
	props := codec.AppendUserProperty([]byte{1, 1, 3, 0, 1, 't'}, "k", "v")
	pub.publish(codec.PublishOut{Topic: "t/1", Payload: []byte("one"), QoS: 2, PacketID: 11, Retain: true, Props: props, HasExpiry: true,
		Expiry: 600}, false)
	pub.publish(codec.PublishOut{Topic: "t/2", Payload: []byte("two"), QoS: 1, PacketID: 12}, false)
	pub.publish(codec.PublishOut{Topic: "t/3", Payload: []byte("three"), QoS: 0}, false)
	pub.publish(codec.PublishOut{Topic: "t/4", Payload: []byte("four"), QoS: 2, PacketID: 13}, false)
	pub.publish(codec.PublishOut{Topic: "t/5", Payload: []byte("five\xff\x00"), QoS: 1, PacketID: 14, Retain: true}, false)
	pub.publish(codec.PublishOut{Topic: "r/0", Payload: []byte("retained"), Retain: true}, false)
	pub.publish(codec.PublishOut{Topic: "r", Payload: bytes.Repeat([]byte("long "), 3_000), Retain: true}, false)
	incoming.publish(codec.PublishOut{Topic: "t/held", Payload: []byte("held"), QoS: 2, PacketID: 15}, true)
	incoming.publish(codec.PublishOut{Topic: "r/held", Payload: []byte("held too"), QoS: 2, PacketID: 16, Retain: true}, true)
	incoming.leave()

	for range 3 { // t/1 and t/2 fill the window; t/3 with QoS 0 passes
		if _, _, qos, id := window.receive(); qos == 2 {
			window.send(codec.AppendAck(nil, codec.TypePubrec, codec.V311, id, 0))
		}
	}
	window.next(codec.TypePubrel)
	window.leave()
	pub.leave()
}

// text is a database for people: messages by topic, times after the last connection, its listener's port as L.
func text(db *DB) string {
	var b strings.Builder
	var start int64
	var port uint16
	for _, c := range db.Clients {
		if c.ID == "options5" {
			start, port = c.EndsAt-1000, c.Port
		}
	}
	at := func(when int64) string {
		if when == 0 {
			return ""
		}
		return fmt.Sprintf(" until +%d", (when-start+25)/50*50)
	}
	user := func(name string, given bool, p uint16) string {
		s := ""
		if given {
			s = "/" + name
		}
		if p == port {
			return s + " L"
		}
		return s
	}
	topics := map[uint64]string{}
	var lines []string
	for _, m := range db.Messages {
		topics[m.ID] = m.Topic
		lines = append(lines, fmt.Sprintf("message %s %.20q (%d) q%d retain %t id %d%s props %x from %s%s\n", m.Topic, m.Payload, len(m.Payload),
			m.QoS, m.Retain, m.PacketID, at(m.Expires), m.Props, m.Source.ClientID, user(m.Source.UserName, m.Source.HasUserName,
				m.Source.Port)))
	}
	slices.Sort(lines)
	b.WriteString(strings.Join(lines, ""))
	lines = nil
	for _, c := range db.Clients {
		l := fmt.Sprintf("session %s%s expiry %d%s last id %d\n", c.ID, user(c.UserName, c.HasUserName, c.Port), c.Expiry, at(c.EndsAt),
			c.LastID)
		for _, d := range c.Deliveries {
			l += fmt.Sprintf("  %s id %d q%d state %d retain %t dup %t in %t %d\n", topics[d.Message], d.PacketID, d.QoS, d.State, d.Retain,
				d.Dup, d.Inbound, d.SubIDs)
		}
		lines = append(lines, l)
	}
	slices.Sort(lines)
	b.WriteString(strings.Join(lines, ""))
	lines = nil
	for _, s := range db.Subscriptions {
		lines = append(lines, fmt.Sprintf("%s subscribes %s q%d no local %t as published %t id %d\n", s.ClientID, s.Filter, s.QoS, s.NoLocal,
			s.RetainAsPublished, s.ID))
	}
	slices.Sort(lines)
	b.WriteString(strings.Join(lines, ""))
	lines = nil
	for _, id := range db.Retained {
		lines = append(lines, "retained "+topics[id]+"\n")
	}
	slices.Sort(lines)
	b.WriteString(strings.Join(lines, ""))
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *record {
		if err := os.WriteFile("testdata/"+name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("testdata/%s has another text:\n%s", name, got)
	}
}

func TestReadsWhatMosquittoWrote(t *testing.T) {
	b := startMosquitto(t, 2, nil)
	fill(t, b)
	file := b.stop()
	if *record {
		if err := os.WriteFile("testdata/v6.db", file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	db := read(t, file)
	golden(t, "v6.txt", text(db))
	if !bytes.Equal(write(t, db), file) {
		t.Error("written back, the file has other bytes")
	}
}

func TestReadsTheSampleFile(t *testing.T) {
	file, err := os.ReadFile("testdata/v6.db")
	if err != nil {
		t.Fatal(err)
	}
	db := read(t, file)
	golden(t, "v6.txt", text(db))
	if !bytes.Equal(write(t, db), file) {
		t.Error("written back, the file has other bytes")
	}
}

var packetID = regexp.MustCompile(` id \d+`)

// served is what a broker on a database gives to those who come back, to a new subscriber, and to all for new messages.
func served(t *testing.T, file []byte) string {
	t.Helper()
	b := startMosquitto(t, windowDefault, file)
	var all strings.Builder
	var peers []*peer
	for _, s := range sessions {
		p, present := b.connect(s.v, s.c)
		peers = append(peers, p)
		fmt.Fprintf(&all, "%s session present %t\n", s.c.ClientID, present)
		for _, line := range p.drain() {
			fmt.Fprintf(&all, "  %s\n", line)
		}
	}
	incoming := peers[1]
	for _, id := range []uint16{15, 16} {
		incoming.send(codec.AppendAck(nil, codec.TypePubrel, codec.V311, id, 0))
		incoming.next(codec.TypePubcomp)
	}
	fresh, _ := b.connect(codec.V5, codec.Connect{ClientID: "fresh", CleanStart: true})
	fresh.subscribe(0, codec.Subscription{Filter: "#", QoS: 2})
	lines := fresh.drain()
	for i, l := range lines { // the identifiers follow the order, which is that of the file
		lines[i] = packetID.ReplaceAllString(l[:min(len(l), 100)], "")
	}
	slices.Sort(lines)
	fmt.Fprintf(&all, "retained:\n  %s\n", strings.Join(lines, "\n  "))
	fresh.leave()
	later, _ := b.connect(codec.V5, codec.Connect{ClientID: "later", CleanStart: true})
	for _, topic := range []string{"t/new", "t/1", "a//b", "w"} {
		later.publish(codec.PublishOut{Topic: topic, Payload: []byte("new"), QoS: 2, PacketID: 1, Retain: topic == "t/new"}, false)
	}
	for i, p := range peers {
		fmt.Fprintf(&all, "%s, new:\n  %s\n", sessions[i].c.ClientID, strings.Join(p.drain(), "\n  "))
	}
	b.stop()
	return all.String()
}

// exported is a database that went through a store.
func exported(t *testing.T, db *DB) *DB {
	t.Helper()
	out, notes := collect(t, stored(t, db))
	if len(notes) > 0 {
		t.Fatalf("%q", notes)
	}
	return out
}

func stored(t *testing.T, db *DB) persist.Store {
	t.Helper()
	s := persist.NewMemory()
	s.Auto = true
	for b := range db.Batches(time.Now()) {
		if len(b.Ops) > batchOps {
			t.Fatalf("a batch has %d changes", len(b.Ops))
		}
		s.Commit(b)
	}
	return s
}

func collect(t *testing.T, s persist.Store) (*DB, []string) {
	t.Helper()
	c := NewCollector(time.Now())
	if err := s.Restore(c); err != nil {
		t.Fatal(err)
	}
	return c.DB()
}

func TestMosquittoServesTheSameFromWhatWeWrite(t *testing.T) {
	b := startMosquitto(t, 2, nil)
	fill(t, b)
	file := b.stop()
	want := served(t, file)
	db := read(t, file)
	golden(t, "v6-served.txt", want)
	if got := served(t, write(t, db)); got != want {
		t.Errorf("from a file written back:\n%s\ninstead of\n%s", got, want)
	}
	if got := served(t, write(t, exported(t, db))); got != want {
		t.Errorf("from an export:\n%s\ninstead of\n%s", got, want)
	}
}
