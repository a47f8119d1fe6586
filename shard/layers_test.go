package shard

import (
	"io"
	"testing"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/transport"
)

// ender is a transport whose layer ends with a byte 0xff, as TLS does with close_notify and WebSocket with a close frame.
type ender struct{}

func (ender) Layers(*loop.Conn) ([]loop.Layer, *transport.Peer) {
	return []loop.Layer{enderLayer{}}, &transport.Peer{}
}

type enderLayer struct{}

func (enderLayer) In(up, down, b []byte) ([]byte, []byte, error) {
	if n := len(b); n > 0 && b[n-1] == 0xff {
		return append(up, b[:n-1]...), down, io.EOF
	}
	return append(up, b...), down, nil
}
func (enderLayer) Out(down, b []byte) []byte { return append(down, b...) }
func (enderLayer) Close(down []byte) []byte  { return down }
func (enderLayer) Passes() bool              { return false }

// TestLayersEndComesBehindWhatIsHeld holds that what came before a layer's end is handled, also when the client is not read from.
func TestLayersEndComesBehindWhatIsHeld(t *testing.T) {
	for _, subscribes := range []bool{false, true} {
		d := newDurable(t, 2, nil)
		watch := d.join("watch", nil)
		watch.subscribe(0, "a", "will")
		l := d.listener.Tag.(*Listener)
		l.Use(&ListenerSettings{Config: l.Settings().Config, Access: Everyone{}, Transport: ender{}})
		c := codec.Connect{Version: codec.V5, ClientID: "p"}
		willed(0, 100)(&c)
		b := c.Append(nil, codec.V5)
		p := d.dial()
		if subscribes {
			p.sock.Write(b)
			d.storeAll()
			b = (&codec.Subscribe{PacketID: 1, Filters: []codec.Subscription{{Filter: "b"}}}).Append(nil, codec.V5)
		}
		b = (&codec.PublishOut{Version: codec.V5, Topic: "a", Payload: []byte("1")}).Append(b)
		b = (&codec.Disconnect{}).Append(b, codec.V5)
		p.sock.Write(append(b, 0xff))
		d.rest()
		if got := payloads(watch.take()); len(got) != 1 || got[0] != "1" {
			t.Errorf("subscribes %t: got %q", subscribes, got)
		}
	}
}
