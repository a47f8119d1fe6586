package sys

import (
	"flag"
	"fmt"
	"maps"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/shard"
)

var differential = flag.Duration("sys.differential", 0, "how long TestLoadsAgreeWithMosquitto lets both brokers work; 0: it is skipped")

// patience is how long anything may take that must happen.
const patience = 20 * time.Second

// queued is `max_queued_messages` of the brokers in these tests.
const queued = 10

// startNoctule runs a broker with its status topics on real loops and returns its address.
func startNoctule(t testing.TB, loops int, interval time.Duration) (address string, b *shard.Broker) {
	t.Helper()
	g, err := loop.NewGroup(loops, loop.GroupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.MaxQueuedMessages = queued
	b = shard.New(shard.Options{Config: cfg, Group: g, Seed: 1})
	sockets, err := loop.ListenTCP("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	sockets[0].Tag = shard.NewListener(config.NewListener(), shard.Everyone{})
	for i := range loops {
		if err := g.Loop(i).Listen(sockets[0]); err != nil {
			t.Fatal(err)
		}
	}
	g.Start()
	p := Start(Options{Broker: b, Interval: interval, Version: "1.2.3"})
	t.Cleanup(func() {
		p.Stop()
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
		sockets[0].Close()
	})
	return sockets[0].Addr().String(), b
}

// startMosquitto runs Debian's broker and returns its address; the test is skipped when it is not installed.
func startMosquitto(t *testing.T) string {
	t.Helper()
	path := "/usr/sbin/mosquitto"
	if _, err := os.Stat(path); err != nil {
		t.Skip("no mosquitto to compare with: apt-get install mosquitto")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().(*net.TCPAddr)
	l.Close()
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nsys_interval 1\nmax_queued_messages %d\n", address.Port, queued)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-c", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return address.String()
}

// connect makes a client, which may have to wait until the broker listens.
func connect(t *testing.T, address, id string, clean bool) mqtt.Client {
	t.Helper()
	o := mqtt.NewClientOptions().AddBroker("tcp://" + address).SetClientID(id).SetCleanSession(clean).SetProtocolVersion(4).
		SetAutoReconnect(false).SetConnectRetry(true).SetConnectRetryInterval(50 * time.Millisecond)
	c := mqtt.NewClient(o)
	wait(t, c.Connect())
	return c
}

func wait(t *testing.T, token mqtt.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatalf("no answer in time, or refused: %v", token.Error())
	}
}

// status subscribes to the status topics and returns what has come when there is each of the topics named, and an
// update after those that were retained.
func status(t *testing.T, address string, topics ...string) map[string]string {
	t.Helper()
	c := connect(t, address, "status", true)
	defer c.Disconnect(0)
	came := make(chan mqtt.Message, 1024)
	wait(t, c.Subscribe(prefix+"#", 0, func(_ mqtt.Client, m mqtt.Message) { came <- m }))
	got, updated := map[string]string{}, false
	missing := func(name string) bool { return got[name] == "" }
	for limit := time.After(patience); !updated || slices.ContainsFunc(topics, missing); {
		select {
		case m := <-came:
			name := strings.TrimPrefix(m.Topic(), prefix)
			got[name] = string(m.Payload())
			updated = updated || name == "uptime" && !m.Retained()
		case <-limit:
			t.Fatalf("%s: no update in time, or without one of %q; got %v", address, topics, got)
		}
	}
	return got
}

var digits = regexp.MustCompile(`\d+`)

// form is a payload's shape: how many decimals, which words.
func form(text string) string {
	if whole, decimals, ok := strings.Cut(text, "."); ok && digits.FindString(whole) == whole {
		return "N." + digits.ReplaceAllStringFunc(decimals, func(d string) string { return strings.Repeat("N", len(d)) })
	}
	return digits.ReplaceAllString(strings.TrimPrefix(strings.TrimPrefix(text, "noctule "), "mosquitto "), "N")
}

func TestTopicsAndPayloadsAreMosquittos(t *testing.T) {
	theirs := status(t, startMosquitto(t), "clients/maximum", "bytes/sent")
	address, _ := startNoctule(t, 2, time.Second)
	ours := status(t, address, names(2)...)
	for name, text := range theirs {
		if got, ok := ours[name]; !ok || form(got) != form(text) {
			t.Errorf("%s: %q, Mosquitto has %q", name, got, text)
		}
	}
	var more []string
	for name := range ours {
		if _, ok := theirs[name]; !ok && !strings.HasPrefix(name, "noctule/") {
			more = append(more, name)
		}
	}
	slices.Sort(more)
	if want := []string{"connections/socket/count", "packet/out/bytes", "packet/out/count"}; !slices.Equal(more, want) {
		t.Errorf("beyond Mosquitto 2.0: %v, want what 2.1 has: %v", more, want)
	}
}

// TestLoadsAgreeWithMosquitto gives both brokers the same work and compares what they say of it.
func TestLoadsAgreeWithMosquitto(t *testing.T) {
	if *differential == 0 {
		t.Skip("takes minutes: go test ./sys -run TestLoadsAgreeWithMosquitto -v -sys.differential 90s -timeout 5m")
	}
	noctule, _ := startNoctule(t, 2, time.Second)
	addresses := [2]string{startMosquitto(t), noctule}
	var got [2]map[string]string
	for _, address := range addresses {
		work(t, address)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	type worker struct{ sub, pub mqtt.Client }
	var workers [2]worker
	for i, address := range addresses {
		workers[i] = worker{connect(t, address, "sub", true), connect(t, address, "pub", true)}
		wait(t, workers[i].sub.Subscribe("load/#", 2, func(mqtt.Client, mqtt.Message) {}))
	}
	end := time.Now().Add(*differential)
	for n := 0; time.Now().Before(end); n++ {
		<-tick.C
		for i, w := range workers {
			// QoS 2 is left to the other direction: Mosquitto 2.0 does not count it where it comes in.
			wait(t, w.pub.Publish("load/"+strconv.Itoa(n%10), byte(n%2), false, strings.Repeat("x", 20+n%200)))
			if n%10 == 0 {
				connect(t, addresses[i], "passing", true).Disconnect(0)
			}
		}
	}
	got[0] = status(t, addresses[0])
	got[1] = status(t, addresses[1], names(2)...)
	for _, name := range slices.Sorted(maps.Keys(got[0])) {
		theirs, errT := strconv.ParseFloat(got[0][name], 64)
		ours, errO := strconv.ParseFloat(got[1][name], 64)
		if errT != nil || errO != nil || strings.HasPrefix(name, "heap/") {
			continue
		}
		off := 100 * (ours - theirs) / math.Max(1, math.Abs(theirs))
		t.Logf("%-28s mosquitto %12s  noctule %12s  %+.1f %%", name, got[0][name], got[1][name], off)
		if strings.HasPrefix(name, "load/") && math.Abs(off) > 5 {
			t.Errorf("%s is %.1f %% off", name, off)
		}
	}
}

// work leaves a session that is away and takes what the others publish until its queue is full, and a retained message.
func work(t *testing.T, address string) {
	t.Helper()
	away := connect(t, address, "away", false)
	wait(t, away.Subscribe("load/1", 1, nil))
	wait(t, away.Subscribe("$share/g/nothing", 1, nil))
	away.Disconnect(0)
	c := connect(t, address, "retains", true)
	wait(t, c.Publish("kept", 1, true, "0123456789"))
	c.Disconnect(0)
}

// BenchmarkUpdate is one update of an idle broker with its two loops, and of one of which every topic changed.
func BenchmarkUpdate(b *testing.B) {
	for _, all := range []bool{false, true} {
		b.Run(fmt.Sprintf("all=%t", all), func(b *testing.B) {
			_, broker := startNoctule(b, 2, 0)
			tree, now := newTree("1.2.3", time.Now()), time.Now()
			tree.update(broker, now)
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(10 * time.Second)
				if all {
					clear(tree.published)
				}
				tree.update(broker, now)
			}
		})
	}
}
