package codec

// User properties stay in the bytes they came in: the UserProperties field of a decoded packet is the stretch of its
// property block from the first user property to the end of the last, with whatever stands between them. Writing a
// packet copies only the user properties out of such a stretch, in their order.

// NextUserProperty reads the first user property of a stretch and returns what is left of it. ok is false when there is
// none. name and value alias the stretch.
func NextUserProperty(stretch []byte) (name, value string, rest []byte, ok bool) {
	skip := keptRun(stretch, onlyUserProperties)
	r := reader{b: stretch[skip:]}
	if len(r.b) == 0 {
		return "", "", nil, false
	}
	r.uint8()
	name, value = alias(r.binary()), alias(r.binary())
	return name, value, r.b, r.err == nil
}

// AppendUserProperty writes a user property behind a stretch.
func AppendUserProperty(b []byte, name, value string) []byte {
	b = append(b, byte(idUserProperty))
	return appendString(appendString(b, name), value)
}
