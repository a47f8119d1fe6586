package shard

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
)

// Stop while logins, control messages and a reload are under way ends in time, and what was acknowledged has arrived.
func TestStopUnderWay(t *testing.T) {
	for round := range 6 {
		cfg, lc := config.Default(), config.NewListener()
		cfg.AuthWorkers, cfg.AuthQueueLimit, cfg.ShutdownTimeout = 2, 100, time.Second
		cfg.MaxQueuedMessages = 100000
		g, err := loop.NewGroup(2, loop.GroupOptions{})
		if err != nil {
			t.Fatal(err)
		}
		b := New(Options{Config: cfg, Group: g, Seed: 3, Log: hardLockedLog{}, Control: hardEcho{}})
		socks, err := loop.ListenTCP("127.0.0.1", 0)
		if err != nil {
			t.Fatal(err)
		}
		l := NewListener(lc, &hardSlow{n: 3})
		for _, s := range socks {
			s.Tag = l
			for i := range 2 {
				_ = g.Loop(i).Listen(s)
			}
		}
		g.Start()
		addr := socks[0].Addr().String()
		var wg sync.WaitGroup
		var acked, got atomic.Int64
		stop := make(chan struct{})
		dial := func(id string) net.Conn {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				return nil
			}
			p := codec.Connect{Version: codec.V311, ClientID: id, CleanStart: true, HasUserName: true, UserName: "u1"}
			_, _ = c.Write(p.Append(nil, codec.V311))
			return c
		}
		sub := dial("sub")
		s := codec.Subscribe{PacketID: 1, Filters: []codec.Subscription{{Filter: "data", QoS: 0}}}
		_, _ = sub.Write(s.Append(nil, codec.V311))
		var buf [9]byte
		for n := 0; n < 9; {
			k, err := sub.Read(buf[n:])
			if err != nil {
				t.Fatal(err)
			}
			n += k
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			b := make([]byte, 1<<16)
			for {
				n, err := sub.Read(b)
				got.Add(int64(n))
				if err != nil {
					return
				}
			}
		}()
		for i := range 4 {
			wg.Add(1)
			go func() { // publishers
				defer wg.Done()
				c := dial(fmt.Sprint("p", i))
				if c == nil {
					return
				}
				var in [4]byte
				if _, err := c.Read(in[:]); err != nil {
					return
				}
				for j := 1; ; j++ {
					o := codec.PublishOut{Version: codec.V311, QoS: 1, Topic: "data", PacketID: uint16(j%60000 + 1), Payload: []byte("0123456789")}
					if _, err := c.Write(o.Append(nil)); err != nil {
						return
					}
					for n := 0; n < 4; {
						k, err := c.Read(in[n:])
						if err != nil {
							return
						}
						n += k
					}
					acked.Add(1)
				}
			}()
			wg.Add(1)
			go func() { // logins and control messages
				defer wg.Done()
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					c := dial(fmt.Sprint("l", i, n))
					if c == nil {
						return
					}
					o := codec.PublishOut{Version: codec.V311, QoS: 1, Topic: "$CONTROL/x", PacketID: 1, Payload: []byte("x")}
					_, _ = c.Write(o.Append(nil))
					time.Sleep(time.Millisecond)
					c.Close()
				}
			}()
		}
		time.Sleep(300 * time.Millisecond)
		rl := make(chan error, 1)
		go func() {
			for {
				err := b.Reload(func() (*config.Config, map[*Listener]*ListenerSettings, error) {
					return cfg, map[*Listener]*ListenerSettings{l: {Config: lc, Access: &hardSlow{3}}}, nil
				})
				if err != nil {
					rl <- err
					return
				}
			}
		}()
		time.Sleep(30 * time.Millisecond)
		began := time.Now()
		done := make(chan error, 1)
		go func() { done <- b.Stop() }()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(8 * time.Second):
			t.Fatal("Stop hangs")
		}
		took := time.Since(began)
		select {
		case <-rl:
		case <-time.After(2 * time.Second):
			t.Errorf("round %d: Reload hangs after Stop", round)
		}
		close(stop)
		wg.Wait()
		each := int64(2 + 6 + 10)
		t.Logf("stop took %v; %d acknowledged, %d arrived", took, acked.Load(), got.Load()/each)
		if got.Load()/each < acked.Load() {
			t.Errorf("round %d: %d acknowledged, %d arrived", round, acked.Load(), got.Load()/each)
		}
		for _, s := range socks {
			s.Close()
		}
	}
}
