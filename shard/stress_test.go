package shard

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
)

type hardSlow struct{ n int }

func (r *hardSlow) NeedsWorker() bool { return r.n%3 != 2 }
func (r *hardSlow) Login(c *auth.Client) (bool, string) {
	time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
	return c.UserName != "bad" && !(r.n%5 == 4 && c.UserName == "u3"), "rule"
}
func (r *hardSlow) Rights(c *auth.Client) auth.Rights {
	if r.n%4 == 3 {
		return nil
	}
	return hardHalf{r.n}
}

type hardHalf struct{ n int }

func (h hardHalf) Allows(a auth.Action, topic string) (auth.Decision, string) {
	if (len(topic)+h.n+int(a))%7 == 0 {
		return auth.Deny, "h"
	}
	return auth.Allow, ""
}

type hardLockedLog struct{}

func (hardLockedLog) Enabled(LogType) bool { return true }
func (hardLockedLog) Log(LogType, string)  {}

// stressReloads is how many reloads the stress lasts.
const stressReloads = 20

// TestStress lets clients do everything at once beside reloads, kicks and look-ups; it is for the race detector. In the end
// nobody is left connected or held.
func TestStress(t *testing.T) {
	cfg, lc := config.Default(), config.NewListener()
	cfg.AuthWorkers, cfg.AuthQueueLimit, cfg.ConnectTimeout, cfg.ShutdownTimeout = 3, 8, 300*time.Millisecond, time.Second
	cfg.ClientRate.Messages, cfg.AddressRate.Messages, cfg.ClientRate.Bytes = 2000, 20000, 1<<20
	cfg.MaxQueuedMessages, cfg.SlowConsumer = 20, config.Throttle
	cfg.MaxCrossingBytes = 4096
	lc.MountPoint = "m/"
	g, err := loop.NewGroup(2, loop.GroupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b := New(Options{Config: cfg, Group: g, Seed: 3, Log: hardLockedLog{}, Control: hardEcho{}})
	socks, err := loop.ListenTCP("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	l := NewListener(lc, &hardSlow{})
	for _, s := range socks {
		s.Tag = l
		for i := range 2 {
			if err := g.Loop(i).Listen(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	g.Start()
	addr := socks[0].Addr().String()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var connected, busy int64
	var mu sync.Mutex
	for i := range 40 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := net.Dial("tcp", addr)
				if err != nil {
					return
				}
				v := []codec.Version{codec.V311, codec.V5}[rng.IntN(2)]
				p := codec.Connect{Version: v, ClientID: fmt.Sprint("c", rng.IntN(25)), CleanStart: rng.IntN(2) == 0, HasUserName: true,
					UserName: []string{"u1", "u2", "u3", "bad", ""}[rng.IntN(5)], HasPassword: true, Password: []byte("x")}
				if v == codec.V5 {
					p.SessionExpiry, p.HasSessionExpiry = 1, true
				}
				if rng.IntN(2) == 0 {
					p.HasWill, p.Will = true, codec.Will{Topic: "will", Payload: []byte("w"), Retain: rng.IntN(2) == 0, QoS: 1}
				}
				out := p.Append(nil, v)
				s := codec.Subscribe{PacketID: 1, Filters: []codec.Subscription{{Filter: "#", QoS: 2}, {Filter: "$share/g/#", QoS: 1}, {Filter: "$CONTROL/#", QoS: 1}}}
				out = s.Append(out, v)
				_ = c.SetDeadline(time.Now().Add(3 * time.Second))
				_, _ = c.Write(out)
				if rng.IntN(4) == 0 {
					c.Close()
					continue
				}
				go func() {
					buf := make([]byte, 4096)
					for {
						n, err := c.Read(buf)
						if err != nil {
							return
						}
						mu.Lock()
						connected += int64(n)
						mu.Unlock()
					}
				}()
				for j := range rng.IntN(200) {
					o := codec.PublishOut{Version: v, QoS: uint8(rng.IntN(3)), Topic: []string{"a", "bb", "ccc/d", "$CONTROL/x", "eeeee"}[rng.IntN(5)],
						Payload: make([]byte, rng.IntN(300)), Retain: rng.IntN(5) == 0}
					if o.QoS > 0 {
						o.PacketID = uint16(j + 1)
					}
					pkt := o.Append(nil)
					if o.QoS == 2 {
						pkt = codec.AppendAck(pkt, codec.TypePubrel, v, o.PacketID, 0)
					}
					pkt = codec.AppendAck(pkt, codec.TypePuback, v, uint16(rng.IntN(40)+1), 0)
					if _, err := c.Write(pkt); err != nil {
						break
					}
				}
				if rng.IntN(2) == 0 {
					time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
				}
				c.Close()
			}
		}()
	}
	ctl, enough := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ctl)
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			next := *cfg
			next.MaxCrossingBytes = int64(1 << (n % 16))
			next.MaxInflightMessages = n%20 + 1
			next.ClientRate.Messages = n % 3 * 1000
			next.CheckRetainSource = n%2 == 0
			_ = b.Reload(func() (*config.Config, map[*Listener]*ListenerSettings, error) {
				return &next, map[*Listener]*ListenerSettings{l: {Config: lc, Access: &hardSlow{n}}}, nil
			})
			_ = b.Disconnect(func(c *auth.Client) bool { return c.UserName == "u2" && n%4 == 0 }, codec.AdministrativeAction, "x")
			_ = b.SubscriptionTree(io.Discard)
			_, _ = b.Snapshot()
			if n == stressReloads {
				close(enough)
			}
		}
	}()
	<-enough
	close(stop)
	wait := make(chan struct{})
	go func() { wg.Wait(); <-ctl; close(wait) }()
	select {
	case <-wait:
	case <-time.After(15 * time.Second):
		t.Error("clients or control do not end")
	}
	snap, _ := b.Snapshot()
	for limit := time.Now().Add(20 * time.Second); snap.Connections+snap.Clients > 0 && time.Now().Before(limit); {
		snap, _ = b.Snapshot()
	}
	if snap.Connections != 0 || snap.Clients != 0 {
		t.Errorf("%d connections, %d clients left", snap.Connections, snap.Clients)
	}
	for i := range 2 {
		_ = b.call(func(s *Shard) {
			if int(s.id) == i && (s.clients.len() != 0) {
				for k := range s.clients.made {
					if c := s.clients.at(k); c.conn != nil {
						throttled := 0
						if c.session != nil {
							throttled = c.session.throttled
						}
						t.Errorf("loop %d: client state %d held %t login %v slowed %t crowded %t answering %t subscribing %t choked %d throttled %d", i, c.state,
							c.isHeld(), c.login, c.slowed, c.crowded, c.answering, c.subscribing, c.choked, throttled)
					}
				}
			}
		})
	}
	began := time.Now()
	if err := b.Stop(); err != nil {
		t.Error(err)
	}
	t.Logf("stop took %v", time.Since(began))
	for a := range b.flows.all {
		if n := b.flows.all[a].open.Load(); n != 0 {
			t.Errorf("%v open %d", a, n)
		}
	}
	_ = busy
}
