// Package mosquittodb reads and writes the database file of Mosquitto, and carries broker state between that file and
// package persist: into a store as batches, out of one as a persist.Restorer. It also writes a store as lines of JSON.
//
// It opens no files and knows no broker. Everything that it reads is taken for damaged until it has been checked: what is
// sound is used, what is not is named in a sentence and left out.
//
// Read format.go first: the layout, byte by byte, and the types. Then batches.go and collect.go.
package mosquittodb
