// Package bench is the room of the load programs and their scenarios.
//
// It owns the question "what does a delivered message cost the broker's machine?" and answers it over the wire only: a
// broker here is a process that speaks MQTT on a TCP port, ours or anyone's. Nothing in this room imports the broker
// (codec is the one package of ours that it may use), so a mistake of the broker cannot hide in its own yardstick.
//
// Read load/main.go first: `go run ./bench/load` drives several brokers side by side on two cores and reports CPU per
// delivered message, loss, order and latency of the same run. load/scenario.go is the list of loads.
package bench
