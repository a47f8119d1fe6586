package bench

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func newDurableEngine(s scenario) *engine {
	s.pairs, s.qos, s.payloadBytes, s.durable = true, 1, 64, "balanced"
	e := newTestEngine(s)
	e.subBase = len(e.clients)
	for j := range e.pubs {
		e.pubs[j].makeDurable(&e.s, j)
		e.clients = append(e.clients, &client{fd: -1})
	}
	return e
}

func (e *engine) ack(j int, id uint16, now int64) error {
	return e.takeAtPublisher(j, packet{first: packetPuback, body: []byte{byte(id >> 8), byte(id)}}, now)
}

func TestAcknowledgementsAreTimedFromTheirOwnMessage(t *testing.T) {
	e := newDurableEngine(scenario{pubs: 1, subs: 1, perSec: 10})
	e.recording = true
	e.publish(0, 1000)
	e.publish(0, 5000)
	if err := errors.Join(e.ack(0, 1, 1010), e.ack(0, 2, 5010)); err != nil {
		t.Fatal(err)
	}
	if e.acked != 2 || e.ackLatency.quantile(0) != 10 || e.ackLatency.quantile(1) != 10 {
		t.Fatalf("%d acknowledged after %d to %d ns, want 2 after 10", e.acked, e.ackLatency.quantile(0), e.ackLatency.quantile(1))
	}
}

func TestAcknowledgementOutOfTurnIsMalformed(t *testing.T) {
	e := newDurableEngine(scenario{pubs: 1, subs: 1, perSec: 10})
	e.publish(0, 0)
	e.publish(0, 0)
	if err := e.ack(0, 2, 1); !errors.Is(err, errMalformed) {
		t.Fatalf("the second before the first: %v", err)
	}
	if err := errors.Join(e.ack(0, 1, 1), e.ack(0, 2, 1)); err != nil {
		t.Fatal(err)
	}
	if err := e.ack(0, 3, 1); !errors.Is(err, errMalformed) {
		t.Fatalf("one that is of no message: %v", err)
	}
}

func TestPublishersOfAwaySubscribersGoOnWithAcknowledgementsAloneUpToTheBound(t *testing.T) {
	e := newDurableEngine(scenario{pubs: 1, subs: 1, outstanding: 2, away: 3})
	e.markReady(0)
	e.refill()
	for id := range uint16(2) {
		if err := e.ack(0, id+1, 1); err != nil {
			t.Fatal(err)
		}
		e.refill()
	}
	if e.pubs[0].sent != 3 || e.progress() != 2 {
		t.Fatalf("%d sent and %d counted, want the bound of 3 and 2 that are acknowledged", e.pubs[0].sent, e.progress())
	}
}

func TestMessagesAreHeldBackWhileTooManyWaitForTheirAcknowledgements(t *testing.T) {
	e := newDurableEngine(scenario{pubs: 1, subs: 1, perSec: 1000})
	e.pace = pacer{tickNs: 1e6, perSec: 1000}
	e.recording = true
	e.pubs[0].sent = ackWindow
	if err := e.sendDue(1); err != nil {
		t.Fatal(err)
	}
	if e.pubs[0].sent != ackWindow || e.heldBack != 1 {
		t.Fatalf("%d sent, %d held back", e.pubs[0].sent, e.heldBack)
	}
}

func TestRetainedMessagesTakeTheTopicsInTurn(t *testing.T) {
	e := newDurableEngine(scenario{pubs: 1, subs: 1, perSec: 10, retain: 2})
	var topics []string
	for range 3 {
		e.publish(0, 0)
		p, _, err := splitPacket(e.pubs[0].c.out)
		if err != nil || p.first != packetPublish|1<<1|flagRetain {
			t.Fatalf("packet 0x%02x, %v", p.first, err)
		}
		m, err := p.publish()
		if err != nil || !filterMatches(e.s.filter(0), string(m.topic)) {
			t.Fatalf("filter %q, topic %q, %v", e.s.filter(0), m.topic, err)
		}
		topics = append(topics, string(m.topic))
		e.pubs[0].c.out = e.pubs[0].c.out[:0]
	}
	if topics[0] == topics[1] || topics[0] != topics[2] {
		t.Fatalf("topics %q", topics)
	}
}

func TestASessionThatIsNotThereEndsTheRun(t *testing.T) {
	e := newDurableEngine(scenario{pubs: 1, subs: 1, outstanding: 1, away: 1})
	f := func(want string, body ...byte) {
		t.Helper()
		err := e.takeAtSubscriber(e.subBase, packet{first: packetConnack, body: body}, 1)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("CONNACK % x: %v, want %q", body, err, want)
		}
	}
	f("", 1, 0)
	f("lost the session", 0, 0)
	f("malformed", 0, 5)
	e.s.away = 0
	f("malformed", 1, 0)
}

func TestWhatComesBehindADisconnectIsNotTaken(t *testing.T) {
	e := newDurableEngine(scenario{pubs: 2, subs: 2, perSec: 10, cycleMs: 10})
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	broker := &client{fd: fds[1]}
	e.clients[e.subBase].fd, e.buf = fds[0], make([]byte, readBytes)
	e.publish(0, 0)
	e.leave(0)
	if err := e.flush(); err != nil {
		t.Fatal(err)
	}
	broker.out = append(broker.out, e.pubs[0].c.out...)
	if _, err := broker.flush(); err != nil {
		t.Fatal(err)
	}
	if err := e.read(e.subBase); err != nil {
		t.Fatal(err)
	}
	e.leave(0) // again, while the broker has not closed yet
	broker.close()
	if err := e.read(e.subBase); err != nil {
		t.Fatal(err)
	}
	if c := e.clients[e.subBase]; c.fd >= 0 || c.leaving || e.counts.unique != 0 {
		t.Fatalf("socket %d, leaving %v, %+v", c.fd, c.leaving, e.counts)
	}
}

func TestBrokersAreToldToStore(t *testing.T) {
	f := func(name string, eachChange bool, want ...string) {
		t.Helper()
		lines := strings.Split(strings.TrimSpace(brokerSpec{name: name}.durableLines("strict", eachChange)), "\n")
		for _, line := range want {
			if !slices.Contains(lines, line) {
				t.Errorf("%s: no line %q in %q", name, line, lines)
			}
		}
	}
	f("noctule", true, "persistence true", "persistence_location {dir}/", "persistence_commit strict")
	f(memoryName, true, "persistence false")
	f("mosquitto", true, "persistence true", "persistence_location {dir}/", "autosave_on_changes true", "autosave_interval 1")
	for _, eachChange := range []bool{true, false} {
		lines := brokerSpec{name: "mosquitto"}.durableLines("strict", eachChange)
		if strings.Contains(lines, "persistence_commit") || strings.Contains(lines, "autosave") != eachChange {
			t.Errorf("mosquitto, with each change %v: %q", eachChange, lines)
		}
	}
	for _, name := range []string{"floor", "emqx"} {
		if (brokerSpec{name: name}).lacks(scenario{durable: "strict"}) == "" {
			t.Errorf("%s runs a durable scenario", name)
		}
	}
}

func TestDiskUseIsWhatFilesTakeUp(t *testing.T) {
	dir := t.TempDir()
	sparse, err := os.Create(filepath.Join(dir, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	full := os.WriteFile(filepath.Join(dir, "full"), make([]byte, 1<<20), 0o600)
	if err := errors.Join(sparse.Truncate(1<<30), sparse.Close(), full); err != nil {
		t.Fatal(err)
	}
	if n := diskBytes(dir); n < 1<<20 || n > 2<<20 {
		t.Errorf("%d bytes", n)
	}
	if n := diskBytes(filepath.Join(dir, "none")); n != 0 {
		t.Errorf("%d bytes of a directory that is not there", n)
	}
	if name := fileSystem("/proc"); name != "type 0x9fa0" {
		t.Errorf("/proc is on %q", name)
	}
	if n := procNumber([]byte("rchar: 5\nwrite_bytes: 42\nVmHWM:\t 7 kB\n"), "write_bytes:"); n != 42 {
		t.Errorf("write_bytes %d", n)
	}
}

// TestDurableTableShowsAcknowledgementsAndTheDisk has the second table of a durable scenario, in text and in HTML.
func TestDurableTableShowsAcknowledgementsAndTheDisk(t *testing.T) {
	s, err := findScenario("durable-offline-strict")
	if err != nil {
		t.Fatal(err)
	}
	specs := []brokerSpec{{name: "a"}, {name: "b"}}
	results := []result{
		{Scenario: s.name, Broker: "a", Rep: 1, CPUMicros: 1, Rate: 90, Delivered: 10, Durable: "strict", FileSystem: "ext4",
			AckP999Ms: 1.25, WrittenBytes: 3330, Drained: 10, DrainRate: 777},
		{Scenario: s.name, Broker: "b", Rep: 1, CPUMicros: 2, Rate: 30, Delivered: 10, Durable: "strict", FileSystem: "ext4"},
	}
	var out strings.Builder
	printScenario(&out, s, specs, results)
	s.name = "of a file" // the page takes the kind of table from the runs
	for i := range results {
		results[i].Scenario = s.name
	}
	page := newReport([]scenario{s}, specs, results)
	path := filepath.Join(t.TempDir(), "page.html")
	if err := page.writeHTML(path); err != nil {
		t.Fatal(err)
	}
	html, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3.00 (3.00–3.00)", "1.250", "333", "777", "ext4"} {
		if !strings.Contains(out.String(), want) || !strings.Contains(string(html), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
