// Package passwd is the tool that keeps password files: "noctule passwd", and mosquitto_passwd where the program is called
// by that name. It knows flags, prompts and files; what a hash is, package auth knows.
//
// Start with passwd.go (the flags), then file.go (what is changed in a file, and how it is written).
package passwd
