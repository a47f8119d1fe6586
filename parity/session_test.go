package parity

import "fmt"

func sessionGroups() []group {
	return []group{
		{name: "sessions", config: sized, talks: append(sessions(), takeOvers()...)},
		{name: "queued QoS 0", config: sized + "queue_qos0_messages true\n", talks: offline()},
		{name: "upgraded QoS", config: sized + "upgrade_outgoing_qos true\n", talks: append(offline(), upgraded()...)},
		{name: "expiration", config: sized + "persistent_client_expiration 1h\n", talks: []conversation{
			{"session expiry is capped", nil, func(s *script) {
				s.join("a", hello{keep: true, props: bin(sessionExpiry, u32(100000))})
				s.leave("a")
				s.join("a", hello{keep: true, props: bin(sessionExpiry, u32(0xFFFFFFFF))})
				s.leave("a")
				s.join("a", hello{keep: true, props: bin(sessionExpiry, u32(3600))})
			}},
		}},
		{name: "time", config: sized, atOnce: true, talks: timed()},
	}
}

// stored is a session that survives its connection, in every version.
var stored = hello{keep: true, props: bin(sessionExpiry, u32(100))}

// offline are messages for a session without a connection.
func offline() []conversation {
	return []conversation{
		{"messages while away", nil, func(s *script) {
			s.join("s", stored)
			s.subscribe("s", "x", 2)
			s.leave("s")
			s.join("p", hello{})
			for qos := range 3 {
				s.publish("p", message{topic: "x", qos: qos, id: 1, payload: fmt.Sprint("qos", qos)})
				s.complete("p", qos, 1)
			}
			s.join("s", stored)
			s.send("s", ack(pubackByte, 1))
		}},
		{"messages while away for a subscription of QoS 0", nil, func(s *script) {
			s.join("s", stored)
			s.subscribe("s", "x", 0)
			s.leave("s")
			s.join("p", hello{})
			for qos := range 3 {
				s.publish("p", message{topic: "x", qos: qos, id: 1, payload: fmt.Sprint("qos", qos)})
				s.complete("p", qos, 1)
			}
			s.join("s", stored)
		}},
	}
}

func upgraded() []conversation {
	return []conversation{
		{"QoS 0 to a subscription of QoS 2", nil, func(s *script) {
			s.join("a", hello{})
			s.subscribe("a", "x", 2)
			s.publish("a", message{topic: "x", payload: "0"})
			s.publish("a", message{topic: "x", qos: 1, id: 1, payload: "1"})
			s.subscribe("a", "x", 1)
			s.publish("a", message{topic: "x", payload: "0"})
		}},
		{"retained QoS 0 to a subscription of QoS 1", nil, func(s *script) {
			s.join("a", hello{})
			s.publish("a", message{topic: "x", payload: "kept", retain: true})
			s.subscribe("a", "x", 1)
			s.publish("a", message{topic: "x", retain: true})
		}},
	}
}

func sessions() []conversation {
	return append(offline(), []conversation{
		{"subscriptions of a stored session", nil, func(s *script) {
			s.join("s", stored)
			s.subscribe("s", "x", 1)
			s.drop("s")
			s.join("s", stored)
			s.publish("s", message{topic: "x", qos: 1, id: 1, payload: "hello"})
			s.leave("s")
			s.join("s", hello{})
			s.publish("s", message{topic: "x", qos: 1, id: 1, payload: "nobody"})
		}},
		{"redelivery of QoS 1", nil, func(s *script) {
			s.join("s", stored)
			s.subscribe("s", "x", 1)
			s.join("p", hello{})
			s.publish("p", message{topic: "x", qos: 1, id: 1, payload: "one"})
			s.publish("p", message{topic: "x", qos: 1, id: 2, payload: "two"})
			s.drop("s")
			s.publish("p", message{topic: "x", qos: 1, id: 3, payload: "three"})
			s.join("s", stored)
			s.send("s", ack(pubackByte, 1))
			s.drop("s")
			s.join("s", stored)
		}},
		{"redelivery of QoS 2", nil, func(s *script) {
			s.join("s", stored)
			s.subscribe("s", "x", 2)
			s.join("p", hello{})
			s.publish("p", message{topic: "x", qos: 2, id: 1, payload: "one"})
			s.send("p", ack(pubrelByte, 1))
			s.publish("p", message{topic: "x", qos: 2, id: 2, payload: "two"})
			s.send("p", ack(pubrelByte, 2))
			s.send("s", ack(pubrecByte, 1))
			s.drop("s")
			s.join("s", stored)
			s.send("s", ack(pubrecByte, 2))
			s.send("s", ack(pubcompByte, 1))
			s.send("s", ack(pubcompByte, 2))
			s.drop("s")
			s.join("s", stored)
		}},
		{"acknowledged in another order", nil, func(s *script) {
			s.join("s", stored)
			s.subscribe("s", "x", 1)
			s.join("p", hello{})
			for i := range 4 {
				s.publish("p", message{topic: "x", qos: 1, id: 1 + i, payload: fmt.Sprint(i)})
			}
			s.send("s", ack(pubackByte, 3), ack(pubackByte, 2))
			s.drop("s")
			s.join("s", stored)
			s.publish("p", message{topic: "x", qos: 1, id: 9, payload: "after"})
		}},
		{"QoS 2 of the client over two connections", nil, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "x", 0)
			s.join("p", stored)
			s.publish("p", message{topic: "x", qos: 2, id: 5, payload: "once"})
			s.drop("p")
			s.join("p", stored)
			s.publish("p", message{topic: "x", qos: 2, id: 5, payload: "once", dup: true})
			s.send("p", ack(pubrelByte, 5))
		}},
		{"QoS 2 of the client, released over the next connection", nil, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "x", 0)
			s.join("p", stored)
			s.publish("p", message{topic: "x", qos: 2, id: 5, payload: "once"})
			s.drop("p")
			s.join("p", stored)
			s.send("p", ack(pubrelByte, 5))
		}},
		{"QoS 2 of a client without a session", nil, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "x", 0)
			s.join("p", hello{})
			s.publish("p", message{topic: "x", qos: 2, id: 5, payload: "lost"})
			s.drop("p")
			s.join("p", hello{})
			s.send("p", ack(pubrelByte, 5))
		}},
		{"PUBREC that refuses", only5, func(s *script) {
			s.join("s", stored)
			s.subscribe("s", "x", 2)
			s.publish("s", message{topic: "x", qos: 2, id: 1, payload: "one"})
			s.send("s", ack(pubrelByte, 1))
			s.send("s", pkt(pubrecByte, u16(1), 0x97))
			s.drop("s")
			s.join("s", stored)
		}},
		{"PUBACK that refuses", only5, func(s *script) {
			s.join("s", stored)
			s.subscribe("s", "x", 1)
			s.publish("s", message{topic: "x", qos: 1, id: 1, payload: "one"})
			s.send("s", pkt(pubackByte, u16(1), 0x97))
			s.drop("s")
			s.join("s", stored)
		}},
		{"PUBACK for QoS 2", nil, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "x", 2)
			s.publish("s", message{topic: "x", qos: 2, id: 1, payload: "one"})
			s.send("s", ack(pubrelByte, 1))
			s.send("s", ack(pubackByte, 1))
		}},
		{"PUBREC for QoS 1", nil, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "x", 1)
			s.publish("s", message{topic: "x", qos: 1, id: 1, payload: "one"})
			s.send("s", ack(pubrecByte, 1))
		}},
		{"PUBCOMP before PUBREC", nil, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "x", 2)
			s.publish("s", message{topic: "x", qos: 2, id: 1, payload: "one"})
			s.send("s", ack(pubrelByte, 1))
			s.send("s", ack(pubcompByte, 1))
		}},
		{"PUBREC twice", nil, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "x", 2)
			s.publish("s", message{topic: "x", qos: 2, id: 1, payload: "one"})
			s.send("s", ack(pubrelByte, 1))
			s.send("s", ack(pubrecByte, 1))
			s.send("s", ack(pubrecByte, 1))
			s.send("s", ack(pubcompByte, 1))
		}},
		{"expiry of a queued message counts on", only5, func(s *script) {
			s.join("s", stored)
			s.subscribe("s", "x", 1)
			s.leave("s")
			s.join("p", hello{})
			s.publish("p", message{topic: "x", qos: 1, id: 1, payload: "one", props: bin(messageExpiry, u32(100))})
			s.join("s", stored)
		}},
		{"client's receive maximum", only5, func(s *script) {
			h := hello{keep: true, props: bin(sessionExpiry, u32(100), receiveMaximum, u16(1))}
			s.join("s", h)
			s.subscribe("s", "x", 2)
			s.join("p", hello{})
			for i := range 3 {
				s.publish("p", message{topic: "x", qos: 1, id: 1 + i, payload: fmt.Sprint(i)})
			}
			s.publish("p", message{topic: "x", payload: "not held back"})
			s.send("s", ack(pubackByte, 1))
			s.send("s", ack(pubackByte, 2))
			s.send("s", ack(pubackByte, 3))
		}},
		{"client's receive maximum and QoS 2", only5, func(s *script) {
			s.join("s", hello{props: bin(receiveMaximum, u16(1))})
			s.subscribe("s", "x", 2)
			s.join("p", hello{})
			for i := range 2 {
				s.publish("p", message{topic: "x", qos: 2, id: 1 + i, payload: fmt.Sprint(i)})
				s.send("p", ack(pubrelByte, 1+i))
			}
			s.send("s", ack(pubrecByte, 1))
			s.send("s", ack(pubcompByte, 1))
		}},
		{"client's maximum packet size", only5, func(s *script) {
			s.join("s", hello{props: bin(maximumPacketSize, u32(40))})
			s.subscribe("s", "x", 1)
			s.join("p", hello{})
			s.publish("p", message{topic: "x", payload: "small"})
			s.publish("p", message{topic: "x", payload: "large enough to be more than forty bytes long"})
			s.publish("p", message{topic: "x", qos: 1, id: 1, payload: "large enough to be more than forty bytes long"})
			s.publish("p", message{topic: "x", qos: 1, id: 2, payload: "small"})
		}},
		{"other version, same session", []int{v4}, func(s *script) {
			s.join("s", hello{level: v31, keep: true})
			s.send("s", subscribe(v31, 1, s.topic("x"), 1))
			s.leave("s")
			s.join("p", hello{})
			s.publish("p", message{topic: "x", qos: 1, id: 1, payload: "hello"})
			s.join("s", hello{level: v5, keep: true, props: bin(sessionExpiry, u32(100))})
			s.leave("s")
			s.join("s", hello{keep: true})
		}},
	}...)
}

func takeOvers() (all []conversation) {
	for _, old := range []bool{false, true} {
		for _, young := range []bool{false, true} {
			all = append(all, conversation{fmt.Sprintf("take-over, old stored %t, new stored %t", old, young), nil, func(s *script) {
				s.join("w", hello{})
				s.subscribe("w", "w", 0)
				h := hello{id: s.topic("client"), keep: old, will: &will{topic: s.topic("w"), payload: "old"}}
				if old {
					h.props = stored.props
				}
				s.join("a", h)
				s.subscribe("a", "x", 1)
				n := hello{id: s.topic("client"), keep: young}
				if young {
					n.props = stored.props
				}
				s.join("b", n)
				s.publish("w", message{topic: "x", qos: 1, id: 1, payload: "hello"})
			}})
		}
	}
	return append(all,
		conversation{"take-over by another version", nil, func(s *script) {
			s.join("a", hello{id: s.topic("client")})
			s.join("b", hello{id: s.topic("client"), level: map[int]int{v31: v5, v4: v31, v5: v4}[s.level]})
		}},
		conversation{"take-over with a message in flight", nil, func(s *script) {
			h := stored
			h.id = s.topic("client")
			s.join("a", h)
			s.subscribe("a", "x", 1)
			s.publish("a", message{topic: "x", qos: 1, id: 1, payload: "hello"})
			s.join("b", h)
			s.send("b", ack(pubackByte, 1))
		}},
	)
}

// timed are conversations that wait. A second client's will, which the broker delays, is their clock.
func timed() []conversation {
	wait := func(s *script, seconds int) {
		s.join("clock", hello{level: v5, keep: true, props: bin(sessionExpiry, u32(100))})
		s.send("clock", subscribe(v5, 1, s.topic("clock"), 0))
		s.join("bell", hello{level: v5, keep: true, props: bin(sessionExpiry, u32(100)), will: &will{topic: s.topic("clock"),
			payload: "ring", props: bin(willDelay, u32(seconds))}})
		s.drop("bell")
		s.await("clock")
		s.leave("clock")
	}
	return []conversation{
		{"delayed will", only5, func(s *script) { wait(s, 1) }},
		{"message expires in the queue", only5, func(s *script) {
			s.join("s", stored)
			s.subscribe("s", "x", 1)
			s.leave("s")
			s.join("p", hello{})
			s.publish("p", message{topic: "x", qos: 1, id: 1, payload: "short", props: bin(messageExpiry, u32(1))})
			s.publish("p", message{topic: "x", qos: 1, id: 2, payload: "long", props: bin(messageExpiry, u32(100))})
			wait(s, 3)
			s.join("s", stored)
		}},
		{"retained message expires", only5, func(s *script) {
			s.join("p", hello{})
			s.publish("p", message{topic: "x", retain: true, payload: "short", props: bin(messageExpiry, u32(1))})
			wait(s, 3)
			s.subscribe("p", "x", 1)
		}},
		{"session expires", only5, func(s *script) {
			s.join("s", hello{props: bin(sessionExpiry, u32(1))})
			s.leave("s")
			wait(s, 4)
			s.join("s", hello{keep: true})
		}},
		{"keep-alive runs out", nil, func(s *script) {
			s.join("s", hello{})
			s.subscribe("s", "w", 0)
			s.join("a", hello{keepAlive: 1, will: &will{topic: s.topic("w"), payload: "gone"}})
			s.closes("a")
		}},
	}
}
