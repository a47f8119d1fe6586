package sys

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/noctulemq/noctule/shard"
)

// fake is a broker whose figures a test sets and which keeps what is published.
type fake struct {
	mu        sync.Mutex
	figures   shard.Snapshot
	asked     []time.Time
	published []shard.Injection
	err       error // of Inject
}

// Snapshot implements Broker.
func (f *fake) Snapshot() (shard.Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, time.Now())
	s := f.figures
	s.Loops = slices.Clone(s.Loops)
	return s, nil
}

// Inject implements Broker.
func (f *fake) Inject(in shard.Injection, _ func(bool)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	f.published = append(f.published, in)
	return nil
}

// take returns what was published since the last time, and checks what all of it has in common.
func (f *fake) take(t *testing.T) map[string]string {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	got := map[string]string{}
	for _, in := range f.published {
		name, ok := strings.CutPrefix(in.Topic, prefix)
		if _, twice := got[name]; twice || !ok || !in.Retain || in.QoS != 2 || in.Origin != "$SYS" || len(in.Payload) == 0 {
			t.Errorf("published %+v", in)
		}
		got[name] = string(in.Payload)
	}
	f.published = nil
	return got
}

// names returns the table's names for a number of loops.
func names(loops int) []string {
	var list []string
	for _, t := range topics(loops) {
		list = append(list, t.name)
	}
	return list
}

func TestEveryTopicAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{figures: shard.Snapshot{Loops: make([]shard.LoopSnapshot, 2)}}
		p := Start(Options{Broker: f, Interval: 10 * time.Second, Version: "1.2.3"})
		synctest.Wait()
		got := f.take(t)
		for _, name := range names(2) {
			want := "0"
			switch {
			case name == "clients/maximum":
				want = "" // nobody came yet
			case name == "version":
				want = "noctule version 1.2.3"
			case name == "uptime":
				want = "0 seconds"
			case name == "noctule/loops/count":
				want = "2"
			case strings.HasPrefix(name, "load/"), strings.HasSuffix(name, "/wakeups/second"):
				want = "0.00"
			case strings.HasSuffix(name, "/wakeups/message"):
				want = "0.0000"
			case strings.HasPrefix(name, "heap/"):
				want = got[name]
			}
			if got[name] != want {
				t.Errorf("%s is %q, want %q", name, got[name], want)
			}
			delete(got, name)
		}
		if len(got) != 0 {
			t.Errorf("more than the table: %v", got)
		}
		p.Stop()
	})
}

// withoutHeap takes out what changes by itself.
func withoutHeap(got map[string]string) map[string]string {
	delete(got, "heap/current")
	delete(got, "heap/maximum")
	return got
}

func TestOnlyChangesArePublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{figures: shard.Snapshot{Loops: make([]shard.LoopSnapshot, 1)}}
		p := Start(Options{Broker: f, Interval: 10 * time.Second})
		defer p.Stop()
		synctest.Wait()
		f.take(t)

		next := func(change func(s *shard.Snapshot), want ...string) {
			t.Helper()
			f.mu.Lock()
			change(&f.figures)
			f.mu.Unlock()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			got := withoutHeap(f.take(t))
			for i := 0; i < len(want); i += 2 {
				if got[want[i]] != want[i+1] {
					t.Errorf("%s is %q, want %q", want[i], got[want[i]], want[i+1])
				}
				delete(got, want[i])
			}
			if len(got) != 0 {
				t.Errorf("published too: %v", got)
			}
		}
		next(func(*shard.Snapshot) {}, "uptime", "10 seconds")
		next(func(s *shard.Snapshot) { s.Sessions, s.Clients, s.Connections, s.Filters = 3, 1, 2, 4 }, "uptime", "20 seconds",
			"clients/total", "3", "clients/maximum", "3", "clients/inactive", "2", "clients/disconnected", "2",
			"clients/active", "1", "clients/connected", "1", "connections/socket/count", "2", "subscriptions/count", "4")
		next(func(s *shard.Snapshot) { s.Sessions = 0 }, "uptime", "30 seconds", // the client is not in the sessions yet
			"clients/total", "1", "clients/inactive", "0", "clients/disconnected", "0")
		next(func(s *shard.Snapshot) {
			s.Packets = 5
			s.Loops[0].Stats.Sleeps, s.Loops[0].Counters.Received[0] = 40, 10
		}, "uptime", "40 seconds", "messages/received", "5", "load/messages/received/1min", "4.61",
			"load/messages/received/5min", "0.98", "load/messages/received/15min", "0.33",
			"noctule/loops/0/wakeups/second", "4.00", "noctule/loops/0/wakeups/message", "4.0000")
	})
}

func TestUpdatesFollowTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(7 * time.Second)
		f := &fake{}
		p := Start(Options{Broker: f, Interval: 10 * time.Second})
		time.Sleep(25 * time.Second)
		synctest.Wait()
		p.SetInterval(time.Minute)
		time.Sleep(90 * time.Second)
		p.Stop()
		var at []int
		for _, when := range f.asked {
			at = append(at, int(when.Unix()%3600))
		}
		if want := []int{7, 10, 20, 30, 32, 60, 120}; !slices.Equal(at, want) {
			t.Errorf("updates at %v seconds, want %v", at, want)
		}
	})
}

func TestNextUpdateIsNotTheSameAgain(t *testing.T) {
	f := func(now, last, want time.Duration) {
		t.Helper()
		if got := nextUpdate(time.Unix(0, int64(now)), 10*time.Second, int64(last)); got != int64(want) {
			t.Errorf("at %v after an update at %v: %v, want %v", now, last, time.Duration(got), want)
		}
	}
	f(7*time.Second, 0, 10*time.Second)
	f(10*time.Second, 10*time.Second, 20*time.Second)
	f(10*time.Second+1, 10*time.Second, 20*time.Second)
	f(10*time.Second-1, 10*time.Second, 20*time.Second)
	f(3600*time.Second, 10*time.Second, 3610*time.Second)
	f(5*time.Second, 3600*time.Second, 10*time.Second) // the clock was set back
}

// TestIntervalZeroDoesNothing holds that nothing is asked or published, and that the interval can be set later.
func TestIntervalZeroDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{figures: shard.Snapshot{Loops: make([]shard.LoopSnapshot, 1)}}
		p := Start(Options{Broker: f})
		time.Sleep(24 * time.Hour)
		if synctest.Wait(); len(f.asked) != 0 || len(f.published) != 0 {
			t.Errorf("asked at %v", f.asked)
		}
		p.SetInterval(10 * time.Second)
		if synctest.Wait(); len(f.asked) != 1 || f.take(t)["uptime"] != "86400 seconds" {
			t.Errorf("after the interval was set: asked at %v", f.asked)
		}
		p.SetInterval(0)
		time.Sleep(24 * time.Hour)
		if synctest.Wait(); len(f.asked) != 1 || len(f.published) != 0 {
			t.Errorf("after it was taken back: asked at %v", f.asked)
		}
		p.Stop()
	})
}

func TestWhatWasNotTakenIsPublishedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{err: errors.New("busy")}
		p := Start(Options{Broker: f, Interval: time.Second})
		synctest.Wait()
		if got := f.take(t); len(got) != 0 {
			t.Fatalf("published %v", got)
		}
		f.mu.Lock()
		f.err = nil
		f.mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := f.take(t); got["version"] == "" || len(got) != len(names(0))-1 {
			t.Errorf("%d topics published", len(got))
		}
		p.Stop()
	})
}
