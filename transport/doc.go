// Package transport has the layers between a socket and MQTT: PROXY headers, TLS, WebSocket. Each is a type with the methods of
// loop.Layer that a connection gets when it is opened; it keeps no goroutine and nothing unbounded. The package knows neither
// loops nor MQTT. Begin with peer.go, which is what the layers of a connection tell those above them.
package transport
