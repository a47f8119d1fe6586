package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/noctulemq/noctule/codec"
)

// toolSession is a run whose seconds pass when the test says so.
type toolSession struct {
	t       *testing.T
	cancel  context.CancelFunc
	seconds chan time.Time
	reports chan toolReport
	done    chan error
}

// startTool starts a run; change may be nil.
func startTool(t *testing.T, change func(o *toolOptions), kind string, args ...string) *toolSession {
	t.Helper()
	o, err := parseTool(kind, append([]string{"--json", "-i", "0"}, args...), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &toolSession{t: t, cancel: cancel, seconds: make(chan time.Time), reports: make(chan toolReport), done: make(chan error, 1)}
	in, out := io.Pipe()
	go func() {
		s.done <- newToolRun(o).run(ctx, newToolPrinter(out, true), s.seconds)
		_ = out.Close()
	}()
	go func() {
		defer close(s.reports)
		dec := json.NewDecoder(in)
		for {
			var rep toolReport
			if dec.Decode(&rep) != nil {
				return
			}
			s.reports <- rep
		}
	}()
	return s
}

// until lets seconds pass until a report is as wanted.
func (s *toolSession) until(wanted func(toolReport) bool) {
	s.t.Helper()
	for {
		select {
		case s.seconds <- time.Now():
		case rep := <-s.reports:
			if wanted(rep) {
				return
			}
			if rep.Final {
				s.t.Fatalf("the run ended early: %+v", rep)
			}
		}
	}
}

func allConnected(rep toolReport) bool { return rep.Connected == uint64(rep.Clients) }

// wait returns the last report and the error of a run that ends.
func (s *toolSession) wait() (last toolReport, err error) {
	s.t.Helper()
	defer s.cancel()
	for rep := range s.reports {
		last = rep
	}
	if !last.Final {
		s.t.Error("the run ended without its totals")
	}
	return last, <-s.done
}

// startRelay returns the port of a relay that runs as a process of its own until the test ends.
func startRelay(t *testing.T) string {
	t.Helper()
	runtime.LockOSThread() // the kernel ends the process with the thread that started it
	spec, err := brokerSpec{name: "floor", command: "floor"}.located()
	if err != nil {
		t.Fatal(err)
	}
	b, err := startBroker(spec, brokerStart{cpu: -1, nodelay: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.stop(); err != nil {
			t.Error(err)
		}
		runtime.UnlockOSThread()
	})
	return fmt.Sprint(b.port)
}

func TestConnHoldsItsClientsUntilItIsToldToEnd(t *testing.T) {
	s := startTool(t, nil, toolConn, "-h", "127.0.0.1", "-p", startRelay(t), "-V", "4", "-c", "50")
	s.until(allConnected)
	s.cancel()
	rep, err := s.wait()
	if err != nil || rep.Connected != 50 || rep.Failed != 0 || rep.Latency == nil || rep.Latency.Max <= 0 {
		t.Fatalf("%v: %+v", err, rep)
	}
}

func TestSubChecksEverythingThatPubSends(t *testing.T) {
	port := startRelay(t)
	for _, qos := range []string{"0", "1", "2"} {
		flags := []string{"-h", "127.0.0.1", "-p", port, "-V", "4", "-c", "4", "-t", "q" + qos + "/%i", "-q", qos, "-L", "2000"}
		sub := startTool(t, nil, toolSub, flags...)
		sub.until(allConnected)
		sent, err := startTool(t, nil, toolPub, append(flags, "-I", "0", "-s", "64")...).wait()
		acked := uint64(2000)
		if qos == "0" {
			acked = 0
		}
		if err != nil || sent.Pub.Sent != 2000 || sent.Pub.Acked != acked {
			t.Errorf("QoS %s: %v: %+v", qos, err, sent.Pub)
		}
		got, err := sub.wait()
		if err != nil || *got.Sub != (subReport{Received: 2000, ReceivedPerSec: got.Sub.ReceivedPerSec}) {
			t.Errorf("QoS %s: %v: %+v", qos, err, got.Sub)
		}
		if got.Latency == nil || got.Latency.P50 <= 0 || got.Latency.Max < got.Latency.P50 {
			t.Errorf("QoS %s: latency %+v", qos, got.Latency)
		}
	}
}

func TestSignalEndsTheCommandWithItsTotals(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "bench", "conn", "--json", "-h", "127.0.0.1", "-p", startRelay(t), "-V", "4", "-c", "3", "-i", "0")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var rep toolReport
	for signalled := false; lines.Scan(); {
		if err := json.Unmarshal(lines.Bytes(), &rep); err != nil {
			t.Error(err)
		}
		if allConnected(rep) && !signalled {
			signalled = true
			_ = cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	if err := cmd.Wait(); err != nil || !rep.Final || rep.Connected != 3 {
		t.Fatalf("%v: %+v\n%s", err, rep, said.String())
	}
}

func TestFailedClientsMakeTheExitStatusOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nobody")
	var out bytes.Buffer
	err := runConn([]string{"-c", "2", "-i", "0", "--unix", path}, &out, io.Discard)
	if status(err) != exitFailed || !strings.Contains(err.Error(), "2 of 2 clients failed") || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	if !strings.HasPrefix(out.String(), "clients   0 of 2 connected, 2 failed") {
		t.Errorf("totals %q", out.String())
	}
}

func TestToolFlagErrorsSayWhatToDo(t *testing.T) {
	f := func(command, want string) {
		t.Helper()
		kind, flags, _ := strings.Cut(command, " ")
		_, err := parseTool(kind, strings.Fields(flags), io.Discard)
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", command, err, want)
		}
	}
	f("conn -z", "'noctule bench conn -help' shows what it takes")
	f("conn -t a", "'noctule bench conn -help' shows what it takes")
	f("conn -c many", "'noctule bench conn -help' shows what it takes")
	f("conn -c 3 more", `"more" is no flag: leave it out`)
	f("conn -c 0", "want 1 to")
	f("conn -n -1", "want a first number from 0")
	f("conn -i -1", "want milliseconds")
	f("conn -i NaN", "want milliseconds")
	f("conn -R -1", "want connects per second")
	f("conn -V 3", "want 4 for MQTT 3.1.1 or 5")
	f("conn -V 4 -x 10", "use -V 5")
	f("conn -x 4294967296", "want seconds from 0")
	f("conn -V 4 -P secret", "give one with -u")
	f("conn -k 65536", "want seconds from 0 to 65535")
	f("conn -h= ", "want a name or an address")
	f("conn -p 70000", "want a port from 1 to 65535")
	f("conn --duration -1s", "want a time above 0")
	f("conn --ifaddr here", "want addresses of this machine")
	f("conn --ifaddr 127.0.0.1 --unix s", "leave it or --unix out")
	f("conn --insecure", "add -S or leave them out")
	f("conn -S --certfile c", "give both or none")
	f("conn -S --cacertfile /nowhere/ca", "name a file that can be read")
	f("conn -S --cacertfile tool_test.go", "want PEM")
	f("conn -S --certfile tool_test.go --keyfile tool_test.go", "want a certificate and its key in PEM")
	f("conn --path /mqtt", "add --ws")
	f("conn --ws --path mqtt", "want a path that begins with /")
	f("pub", "Give one with -t")
	f("pub -t a/#", "only sub takes them")
	f("pub -t a -q 3", "want 0, 1 or 2")
	f("pub -t a -s 16777216", "want 0 to 16777205 bytes")
	f("pub -t a -I -5", "want milliseconds")
	f("pub -t a -F 0", "want 1 to 65535")
	f("sub -t a\xff", "want a topic")
	f("sub -t a --prefix \xff", "want at most 65535 bytes of UTF-8")
}

func TestToolFlagsAreThoseOfEmqttBench(t *testing.T) {
	o, err := parseTool(toolPub, strings.Fields("-h broker -p 1 -V 4 -c 3 -n 7 -R 100 -u me -P x -k 9 -C false -S true --insecure "+
		"-t %i/%c/%u -q 1 -s 99 -I 20 -L 8 -F 5 -r true --prefix p"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.host != "broker" || o.version != codec.V311 || o.count != 3 || o.first != 7 || o.clean || !o.transport.useTLS ||
		!o.retain || o.qos != 1 || o.size != 99 || o.pubPause != 20 || o.limit != 8 || o.inflight != 5 || o.keepAlive != 9 {
		t.Errorf("read as %+v", o)
	}
	if pause := o.connectPause(); pause != 10*time.Millisecond {
		t.Errorf("100 connects a second are %v apart", pause)
	}
	if topic := o.expand(o.topic, 8); topic != "8/p8/me" {
		t.Errorf("topic %q", topic)
	}
	var help bytes.Buffer
	err = runPub([]string{"-help"}, &help, io.Discard)
	if status(err) != exitOK || !strings.Contains(help.String(), "-c, --count number") {
		t.Errorf("%v: help %q", err, help.String())
	}
}

func TestFlowFiguresOfASubscriber(t *testing.T) {
	f := func(grouped bool, lost uint64, want flowCounts, seqs ...uint64) {
		t.Helper()
		var g toolFigures
		flow := &toolFlow{flow: flow{next: seqs[0]}, first: seqs[0]}
		for _, seq := range seqs {
			g.observe(flow, seq, grouped)
		}
		if g.lost() != lost || g.flows != want {
			t.Errorf("%v: %d lost, %+v; want %d and %+v", seqs, g.lost(), g.flows, lost, want)
		}
	}
	f(false, 0, flowCounts{unique: 3}, 5, 6, 7) // what was sent before the subscriber came is not lost
	f(false, 2, flowCounts{unique: 3}, 5, 8, 9)
	f(false, 1, flowCounts{unique: 4, orderBreaks: 1}, 5, 8, 6, 9)
	f(true, 1, flowCounts{unique: 4}, 5, 8, 6, 9)
	f(false, 0, flowCounts{unique: 2, duplicates: 1}, 5, 6, 6)
	f(false, 0, flowCounts{unique: 1, orderBreaks: 1}, 5, 4)
}

// testBroker grants what it is asked for, unless its fields say otherwise.
type testBroker struct {
	connack   codec.Connack
	extra     []byte // sent behind the CONNACK
	subackAs  codec.ReasonCode
	pubackAs  codec.ReasonCode
	deaf      time.Duration // how long it reads nothing after CONNECT
	silent    bool          // answers neither PINGREQ nor PUBLISH
	deliver   []codec.PublishOut
	pings     int
	published [][]byte
}

// serve is the broker's side of one connection; fields are written by it alone.
func (b *testBroker) serve(conn net.Conn) {
	defer conn.Close()
	in := &toolReader{conn: conn}
	var v codec.Version
	for {
		h, body, ok, err := in.packet()
		if err == nil && !ok {
			err = in.fill()
		}
		if err != nil || ok && h.Type == codec.TypeDisconnect {
			return
		}
		if !ok {
			continue
		}
		out := b.answer(h, body, &v)
		if _, err := conn.Write(out); len(out) > 0 && err != nil {
			return
		}
		if h.Type == codec.TypeConnect {
			time.Sleep(b.deaf) // fake time, if it is not 0
		}
	}
}

func (b *testBroker) answer(h codec.Header, body []byte, v *codec.Version) []byte {
	switch h.Type {
	case codec.TypeConnect:
		var c codec.Connect
		if c.Decode(h, body) != nil {
			return nil
		}
		*v = c.Version
		return append(b.connack.Append(nil, *v), b.extra...)
	case codec.TypeSubscribe:
		var s codec.Subscribe
		if s.Decode(h, body, *v) != nil {
			return nil
		}
		out := (&codec.Suback{PacketID: s.PacketID, Codes: []byte{byte(b.subackAs)}}).Append(nil, *v)
		for i := range b.deliver {
			b.deliver[i].Version = *v
			out = b.deliver[i].Append(out)
		}
		return out
	case codec.TypePublish:
		var p codec.Publish
		if p.Decode(h, body, *v) != nil {
			return nil
		}
		b.published = append(b.published, slices.Clone(p.Payload))
		if p.QoS == 1 && !b.silent {
			return codec.AppendAck(nil, codec.TypePuback, *v, p.PacketID, b.pubackAs)
		}
	case codec.TypePingreq:
		if b.pings++; !b.silent {
			return codec.AppendPingresp(nil)
		}
	}
	return nil
}

// piped lets every client of a run talk to a broker of its own through a pipe; newBroker is called once for each.
func piped(newBroker func() *testBroker) func(o *toolOptions) {
	return func(o *toolOptions) {
		o.dial = func(context.Context, int) (net.Conn, error) {
			client, server := net.Pipe()
			go newBroker().serve(server)
			return client, nil
		}
	}
}

func one(b *testBroker) func() *testBroker { return func() *testBroker { return b } }

func TestPublishersKeepTheirInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startTool(t, piped(func() *testBroker { return &testBroker{} }), toolPub, "-t", "t", "-q", "1",
			"-c", "2", "-i", "100", "-I", "100", "--duration", "950ms")
		rep, err := s.wait()
		if err != nil || rep.Pub.Sent != 10+9 || rep.Pub.Acked != 10+9 || rep.Pub.HeldBack != 0 {
			t.Fatalf("%v: %+v", err, rep.Pub)
		}
	})
}

func TestConnectRateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startTool(t, piped(func() *testBroker { return &testBroker{} }), toolConn, "-c", "100", "-R", "10", "--duration", "950ms")
		if rep, err := s.wait(); err != nil || rep.Connected != 10 {
			t.Fatalf("%v: %+v", err, rep)
		}
	})
}

func TestMessagesThatTheBrokerDoesNotReadAreHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &testBroker{deaf: 5 * time.Second}
		s := startTool(t, piped(one(b)), toolPub, "-t", "t", "-c", "1", "-I", "100", "--duration", "5050ms")
		rep, err := s.wait()
		// The first one blocks until 5 s. Of the 50 that are due by then, the last second's are made up for.
		if err != nil || rep.Pub.HeldBack != 39 || rep.Pub.Sent != 51-39 {
			t.Fatalf("%v: %+v", err, rep.Pub)
		}
		synctest.Wait()
		if last, ok := readStamp(b.published[11], 256); !ok || last.seq != 11 {
			t.Fatalf("the last message has stamp %+v", last)
		}
	})
}

func TestClientsPingWithinTheKeepAlive(t *testing.T) {
	for _, args := range [][]string{{toolConn}, {toolPub, "-t", "t", "-I", "60000"}} {
		synctest.Test(t, func(t *testing.T) {
			b := &testBroker{}
			s := startTool(t, piped(one(b)), args[0], append(args[1:], "-c", "1", "-k", "10", "--duration", "16s")...)
			_, err := s.wait()
			if synctest.Wait(); err != nil || b.pings != 3 {
				t.Fatalf("%s: %v, %d pings in 16 s", args[0], err, b.pings)
			}
			s = startTool(t, piped(one(&testBroker{silent: true})), args[0], append(args[1:], "-c", "1", "-k", "10")...)
			if _, err := s.wait(); !errors.Is(err, errSilent) {
				t.Fatalf("%s: error %v", args[0], err)
			}
		})
	}
}

func TestWhatTheBrokerRefusesIsSaid(t *testing.T) {
	f := func(b testBroker, want, kind string, args ...string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			_, err := startTool(t, piped(one(&b)), kind, append(args, "-c", "1")...).wait()
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want one with %q", err, want)
			}
			time.Sleep(b.deaf) // until the broker hears again, and ends
		})
	}
	f(testBroker{connack: codec.Connack{Code: codec.NotAuthorized}}, "Not authorized", toolConn)
	f(testBroker{connack: codec.Connack{Code: 4}}, "see -u and -P", toolConn, "-V", "4")
	f(testBroker{connack: codec.Connack{MaximumPacketSize: 100}}, "lower -s", toolPub, "-t", "t")
	f(testBroker{connack: codec.Connack{HasMaximumQoS: true}}, "lower -q", toolPub, "-t", "t", "-q", "1")
	f(testBroker{connack: codec.Connack{RetainUnavailable: true}}, "leave out -r", toolPub, "-t", "t", "-r")
	f(testBroker{pubackAs: codec.QuotaExceeded}, "refused 3 messages; the first one: Quota exceeded", toolPub,
		"-t", "t", "-q", "1", "-L", "3")
	f(testBroker{subackAs: codec.NotAuthorized}, "refused to subscribe t: Not authorized", toolSub, "-t", "t")
	f(testBroker{extra: codec.AppendAck(nil, codec.TypePuback, codec.V5, 9, 0)}, "PUBACK 9, which answers none", toolPub, "-t", "t", "-q", "1")
	f(testBroker{extra: codec.AppendPingreq(nil)}, "unexpected PINGREQ", toolConn)
	f(testBroker{extra: []byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F}}, "more than 16777216 bytes", toolConn)
	f(testBroker{extra: []byte{0}}, "read a packet", toolConn)
	shutdown := (&codec.Disconnect{Code: codec.ServerShuttingDown}).Append(nil, codec.V5)
	f(testBroker{extra: shutdown}, "disconnected: Server shutting down", toolConn)
	f(testBroker{extra: shutdown}, "disconnected: Server shutting down", toolPub, "-t", "t")
	f(testBroker{silent: true}, "messages without acknowledgement 5s after the end: 1", toolPub, "-t", "t", "-q", "1", "-L", "1")
	f(testBroker{deaf: time.Minute}, "the broker read nothing for 10s", toolPub, "-t", "t")
}

func TestSubCountsWhatItCannotCheck(t *testing.T) {
	stamped := make([]byte, payloadBytesMin)
	stamp{seq: 4, sentNs: time.Now().UnixNano(), pub: 1}.put(stamped)
	b := &testBroker{deliver: []codec.PublishOut{{Topic: "t", Payload: []byte("plain")}, {Topic: "t", Payload: stamped, Retain: true},
		{Topic: "t", Payload: stamped}, {Topic: "t", Payload: stamped, QoS: 1, PacketID: 1}}}
	synctest.Test(t, func(t *testing.T) {
		rep, err := startTool(t, piped(one(b)), toolSub, "-t", "t", "-q", "1", "-c", "1", "-L", "4").wait()
		want := subReport{Received: 4, Unchecked: 2, Duplicates: 1}
		if rep.Sub.ReceivedPerSec = 0; err != nil || *rep.Sub != want {
			t.Errorf("%v: %+v, want %+v", err, rep.Sub, want)
		}
	})
}

func TestAGroupIsCheckedAsOneSubscriber(t *testing.T) {
	member := 0
	next := func() *testBroker { // two members, who get every second message each; number 5 gets lost
		b := &testBroker{}
		for seq := uint64(member); seq < 10; seq += 2 {
			payload := make([]byte, payloadBytesMin)
			stamp{seq: seq, sentNs: time.Now().UnixNano(), pub: 1}.put(payload)
			if seq != 5 {
				b.deliver = append(b.deliver, codec.PublishOut{Topic: "t", Payload: payload, QoS: 2, PacketID: uint16(seq + 1)})
			}
		}
		member++
		return b
	}
	synctest.Test(t, func(t *testing.T) {
		brokers := []*testBroker{next(), next()}
		dial := func(o *toolOptions) {
			o.dial = func(_ context.Context, index int) (net.Conn, error) {
				client, server := net.Pipe()
				go brokers[index].serve(server)
				return client, nil
			}
		}
		// The second member comes when the first one has everything.
		rep, err := startTool(t, dial, toolSub, "-t", "$share/g/t", "-q", "2", "-c", "2", "-i", "100", "--duration", "1s").wait()
		if rep.Sub.ReceivedPerSec = 0; err != nil || *rep.Sub != (subReport{Received: 9, Lost: 1}) {
			t.Errorf("%v: %+v", err, rep.Sub)
		}
		if text := rep.summary(); !strings.Contains(text, "9 received (0/s): 1 lost, 0 duplicates, 0 out of order, 0 unchecked") {
			t.Errorf("summary %q", text)
		}
	})
}

func TestReportsForPeople(t *testing.T) {
	latency := &toolLatency{P50: 0.5, P99: 2}
	for want, rep := range map[string]toolReport{
		"   7 s  3 connected, 1 failed (2/s)": {Seconds: 7, Connected: 3, Failed: 1, ConnectedPerSec: 2},
		"   7 s  9 sent (4/s), 8 acknowledged (3/s), 3 connected, 1 failed": {Seconds: 7, Connected: 3, Failed: 1,
			Pub: &pubReport{Sent: 9, SentPerSec: 4, Acked: 8, AckedPerSec: 3}},
		"   7 s  9 received (4/s), p50 0.500 ms, p99 2.000 ms, 3 connected, 1 failed": {Seconds: 7, Connected: 3, Failed: 1,
			Latency: latency, Sub: &subReport{Received: 9, ReceivedPerSec: 4}},
	} {
		var plain, live bytes.Buffer
		if err := errors.Join((&toolPrinter{out: &plain}).second(rep), (&toolPrinter{out: &live, live: true}).second(rep)); err != nil {
			t.Fatal(err)
		}
		if plain.String() != want+"\n" || live.String() != "\r"+want+"\x1b[K" {
			t.Errorf("line %q, on a terminal %q", plain.String(), live.String())
		}
	}
}
