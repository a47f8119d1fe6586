// Package sparkplug makes the broker a Sparkplug Aware MQTT Server (conformance profile of Sparkplug 3.0.0): it keeps the birth
// certificates of edge nodes and devices as retained messages below $sparkplug/certificates. It takes the place of
// Mosquitto's mosquitto_sparkplug_aware.so.
//
// It is an attached client of the broker like any other wing, and knows nothing else of it.
package sparkplug

import (
	"crypto/rand"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/shard"
)

// certificates is what stands before the topic of a certificate.
const certificates = "$sparkplug/certificates/"

// filters are the topics of births: spBv1.0/GROUP/NBIRTH/NODE and spBv1.0/GROUP/DBIRTH/NODE/DEVICE.
var filters = []codec.Subscription{{Filter: "spBv1.0/+/NBIRTH/+"}, {Filter: "spBv1.0/+/DBIRTH/+/+"}}

// Broker is the two doors.
type Broker interface {
	Inject(in shard.Injection, done func(matched bool)) error
	Attach(o shard.AttachOptions, ready func(present bool, err error)) (*shard.Attachment, error)
}

// origin is the name under which certificates are published; the client identifier begins with it.
const origin = "$sparkplug"

// keeper copies births to their certificates.
type keeper struct {
	broker Broker
	log    func(line string)
}

// Start keeps certificates until the broker stops. log takes a line and is called on any thread; it must not wait.
func Start(b Broker, log func(line string)) error {
	k := &keeper{broker: b, log: log}
	client, err := b.Attach(shard.AttachOptions{ClientID: origin + "-" + rand.Text(), CleanStart: true, Receiver: k}, nil)
	if err != nil {
		return err
	}
	return client.Subscribe(filters, 0, nil)
}

// Deliver implements shard.Receiver. A loop's thread.
func (k *keeper) Deliver(d *shard.Delivery) bool {
	err := k.broker.Inject(shard.Injection{Origin: origin, Topic: certificates + d.Topic, Payload: d.Payload, Retain: true}, nil)
	if err != nil {
		k.log("Warning: the Sparkplug certificate of " + d.Topic + " was not kept: " + err.Error())
	}
	return err == nil
}

// Ended implements shard.Receiver.
func (k *keeper) Ended(string) {}
