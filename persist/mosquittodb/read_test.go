package mosquittodb

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/noctulemq/noctule/persist"
)

// small is a database with one of each.
func small() *DB {
	return &DB{LastID: 9, Messages: []Message{{ID: 3, Topic: "a", Payload: []byte("x"), QoS: 1}, {ID: 4, Topic: "b", QoS: 2}},
		Clients: []Client{{ID: "c", Expiry: never, Deliveries: []Delivery{{Message: 3, PacketID: 1, QoS: 1, State: Queued},
			{Message: 4, PacketID: 2, QoS: 2, State: AwaitPubcomp}}}},
		Subscriptions: []Subscription{{ClientID: "c", Filter: "#"}}, Retained: []uint64{3}}
}

func TestDamage(t *testing.T) {
	f := func(what string, damage func(db *DB), want ...string) {
		t.Helper()
		db := small()
		damage(db)
		got, notes, err := Read(bytes.NewReader(write(t, db)))
		if err != nil || !slices.Equal(notes, want) {
			t.Errorf("%s: %v, said %q", what, err, notes)
			return
		}
		if _, again, err := Read(bytes.NewReader(write(t, got))); err != nil || len(again) > 0 {
			t.Errorf("%s: what is left is not whole: %v, %q", what, err, again)
		}
	}
	f("none", func(*DB) {})
	f("no message", func(db *DB) { db.Messages = db.Messages[:0] },
		`1 deliveries of "c" have no message; they were left out`, "1 retained messages are missing; they were left out")
	f("no session", func(db *DB) { db.Clients[0].ID = "d" }, "1 subscriptions have no session; they were left out")
	f("two messages of one identifier", func(db *DB) { db.Messages = append(db.Messages, db.Messages[0]) },
		"byte 130: there are two messages of the identifier 3; it was left out")
	f("two sessions of one client", func(db *DB) { db.Clients = append(db.Clients, Client{ID: "c"}) },
		`byte 213: there are two sessions of "c"; it was left out`)
	f("topic with a wildcard", func(db *DB) { db.Messages[0].Topic = "#" },
		"byte 47: a message could not be sent: topic name with a wildcard (Malformed Packet, MQTT-3.3.2-2); it was left out",
		`1 deliveries of "c" have no message; they were left out`, "1 retained messages are missing; they were left out")
	f("topic that is not UTF-8", func(db *DB) { db.Messages[1].Topic = "\xff" },
		"byte 89: a message could not be sent: topic name is not valid UTF-8 (Malformed Packet, MQTT-3.3.2-1); it was left out")
	f("property that is not known", func(db *DB) { db.Messages[1].Props = []byte{0x7F} },
		"byte 89: a message could not be sent: unknown property (Malformed Packet, section 2.2.2.2); it was left out")
	f("QoS of a message", func(db *DB) { db.Messages[1].QoS = 3 },
		"byte 89: a message has QoS 3 and expires at 0; it was left out")
	f("publisher", func(db *DB) { db.Messages[1].Source.ClientID = "\x00" },
		"byte 89: the publisher of a message has an impossible name; it was left out")
	f("filter", func(db *DB) { db.Subscriptions[0].Filter = "#/a" },
		`byte 213: "c" subscribed to the impossible filter "#/a"; it was left out`)
	f("shared filter", func(db *DB) { db.Subscriptions[0].Filter = "$share//a" },
		`byte 213: "c" subscribed to the impossible filter "$share//a"; it was left out`)
	f("state", func(db *DB) { db.Clients[0].Deliveries[0].State = 12 },
		`byte 163: a delivery of "c" has direction 1, QoS 1, state 12 and packet identifier 1; it was left out`)
	f("no packet identifier", func(db *DB) { db.Clients[0].Deliveries[0].PacketID = 0 },
		`byte 163: a delivery of "c" has direction 1, QoS 1, state 11 and packet identifier 0; it was left out`)
	f("client id", func(db *DB) { db.Clients[0].ID = "" },
		`byte 130: a session has the impossible client id ""; it was left out`,
		`byte 162: a delivery belongs to "", who has no session; it was left out`,
		`byte 186: a delivery belongs to "", who has no session; it was left out`, "1 subscriptions have no session; they were left out")
}

func TestSentencesAreBounded(t *testing.T) {
	db := small()
	for range 1000 {
		db.Subscriptions = append(db.Subscriptions, Subscription{ClientID: "c", Filter: "+#"})
	}
	_, notes, err := Read(bytes.NewReader(write(t, db)))
	if err != nil || len(notes) != notesMax+1 || notes[notesMax] != "900 more like these were left out" {
		t.Errorf("%v, %d sentences, the last one %q", err, len(notes), notes[len(notes)-1])
	}
}

func TestFileThatEndsEarly(t *testing.T) {
	file := write(t, small())
	for n := range file {
		db, notes, err := Read(bytes.NewReader(file[:n]))
		switch {
		case n < headerBytes:
			if !errors.Is(err, ErrNotDatabase) {
				t.Errorf("%d bytes: %v", n, err)
			}
			continue
		case err != nil:
			t.Errorf("%d bytes: %v", n, err)
			continue
		}
		if kept := len(write(t, db)); kept > max(n, headerBytes+24) {
			t.Errorf("%d bytes: %d came out", n, kept)
		}
		if _, again, err := Read(bytes.NewReader(write(t, db))); err != nil || len(again) > 0 {
			t.Errorf("%d bytes: what is left is not whole: %v, %q", n, err, again)
		}
		if n == len(file)-1 && fmt.Sprint(notes) != "[the file ends at byte 250, within what began at byte 235: it is used up to there]" {
			t.Errorf("said %q", notes)
		}
	}
}

func TestFileThatCannotBeReadOn(t *testing.T) {
	file := write(t, small())
	broken := errors.New("input/output error")
	in := func(n int) *errorReader { return &errorReader{bytes.NewReader(file[:n]), broken} }
	db, notes, err := Read(in(100))
	if err != nil || len(db.Messages) != 1 || len(notes) != 1 ||
		notes[0] != "reading ended at byte 100: input/output error; what stands before byte 89 is used" {
		t.Errorf("%v, %d messages, said %q", err, len(db.Messages), notes)
	}
	if _, _, err := Read(in(3)); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if db, notes, err := Read(iotest.OneByteReader(bytes.NewReader(file))); err != nil || len(notes) > 0 || len(db.Retained) != 1 {
		t.Errorf("byte by byte: %v, %q", err, notes)
	}
}

// errorReader ends with an error.
type errorReader struct {
	in  *bytes.Reader
	err error
}

func (r *errorReader) Read(b []byte) (int, error) {
	if n, err := r.in.Read(b); err == nil {
		return n, nil
	}
	return 0, r.err
}

func TestNoDatabase(t *testing.T) {
	file := write(t, small())
	for _, other := range []string{"", "SQLite format 3\x00 and more of that", string(magic), strings.ToUpper(string(file))} {
		if _, _, err := Read(strings.NewReader(other)); !errors.Is(err, ErrNotDatabase) {
			t.Errorf("%.20q: %v", other, err)
		}
	}
	for _, v := range []byte{0, 1, 7} {
		file[headerBytes-1] = v
		_, _, err := Read(bytes.NewReader(file))
		if want := fmt.Sprintf("the Mosquitto database has version %d: versions 2 to 6 can be read", v); err == nil || err.Error() != want {
			t.Errorf("version %d: %v", v, err)
		}
	}
}

// The lengths that a file claims are no reason to take memory.
func TestMemoryFollowsTheFile(t *testing.T) {
	file := []byte(magic + "\x00\x00\x00\x00\x00\x00\x00\x06" + "\x00\x00\x00\x02\xff\xff\xff\xff")
	file = append(file, make([]byte, 100_000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, notes, err := Read(bytes.NewReader(file))
	runtime.ReadMemStats(&after)
	if taken := after.TotalAlloc - before.TotalAlloc; err != nil || len(notes) != 1 || taken > 1<<20 {
		t.Errorf("%v, %q, %d bytes were taken", err, notes, taken)
	}
}

func TestLargeMessage(t *testing.T) {
	db := small()
	db.Messages[0].Payload = bytes.Repeat([]byte("0123456789"), 100_000)
	file := write(t, db)
	if got := read(t, file); !bytes.Equal(got.Messages[0].Payload, db.Messages[0].Payload) || !bytes.Equal(write(t, got), file) {
		t.Error("a payload of a million bytes is not the same after it was written and read")
	}
}

// What 2.0.11 writes for clients without a user name behind one that has one.
func TestMemoryInPlaceOfUserNames(t *testing.T) {
	db := &DB{Clients: []Client{
		{ID: "1", UserName: "anna"},
		{ID: "2", UserName: "anna" + strings.Repeat("\x00\xfe", 510)},
		{ID: "3", UserName: "anna"},
		{ID: "4", UserName: "anna" + strings.Repeat("\x00\xfe", 510)},
		{ID: "5", UserName: "ute"},
		{ID: "6", UserName: "ute"},
	}}
	got, notes, err := Read(bytes.NewReader(write(t, db)))
	want := []string{
		"2 sessions have memory of Mosquitto in place of a user name, as 2.0 writes it: they have none",
		`1 sessions may have been given the user name of another one by Mosquitto 2.0, until their clients connect: "3"`,
	}
	if err != nil || !slices.Equal(notes, want) {
		t.Errorf("%v, said %q", err, notes)
	}
	var names []string
	for _, c := range got.Clients {
		names = append(names, c.UserName)
		if c.HasUserName != (c.UserName != "") {
			t.Errorf("%s has a user name: %t", c.ID, c.HasUserName)
		}
	}
	if want := []string{"anna", "", "anna", "", "ute", "ute"}; !slices.Equal(names, want) {
		t.Errorf("user names %q", names)
	}
}

func FuzzRead(f *testing.F) {
	for version := uint32(versionOldest); version <= 5; version++ {
		f.Add(handmade(version))
	}
	var file bytes.Buffer
	if err := small().Write(&file); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		db, notes, err := Read(bytes.NewReader(file))
		if err != nil {
			return
		}
		if len(notes) > notesMax+1 {
			t.Errorf("%d sentences", len(notes))
		}
		var out bytes.Buffer
		if err := db.Write(&out); err != nil {
			t.Fatal(err)
		}
		again, notes, err := Read(bytes.NewReader(out.Bytes()))
		if err != nil || len(notes) > 0 {
			t.Fatalf("what was written is not whole: %v, %q", err, notes)
		}
		if got, want := text(again), text(db); got != want {
			t.Errorf("written and read again:\n%s\ninstead of\n%s", got, want)
		}
		s := persist.NewMemory()
		s.Auto = true
		for b := range db.Batches(time.Unix(1_795_000_000, 0)) {
			s.Commit(b)
		}
		collect(t, s)
	})
}
