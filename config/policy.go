package config

// Policy is what happens to a QoS 1 or 2 message for a session whose queue is full.
type Policy uint8

// The policies.
const (
	DropNewest Policy = iota // the message is dropped, as Mosquitto does
	DropOldest               // the oldest queued message makes room
	Disconnect               // the consumer is disconnected
	Throttle                 // the publisher is not read from until there is room
)

// policyNames are the values of slow_consumer_policy, in the order of the constants.
var policyNames = [...]string{"drop-newest", "drop-oldest", "disconnect", "throttle"}

// String returns the policy as it is written in a file.
func (p Policy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return "unknown policy"
}
