package dynsec

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
)

// kind is the type of a JSON value.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// value is JSON as Mosquitto sees it: names of members without regard to case, the first of several of a name, integers
// that saturate, strings that end at a NUL.
type value struct {
	kind   kind
	yes    bool
	number int32
	text   string
	names  []string // of the members of an object; items are their values
	items  []value  // of an array or object
}

var errJSON = errors.New("not valid JSON")

// readJSON reads the first value of data; what follows it is ignored. Error: errJSON.
func readJSON(data []byte) (value, error) {
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	dec.UseNumber()
	return readValue(dec, 0)
}

func readValue(dec *json.Decoder, depth int) (value, error) {
	token, err := dec.Token()
	if err != nil || depth > depthMax {
		return value{}, errJSON
	}
	switch t := token.(type) {
	case bool:
		return value{kind: kindBool, yes: t}, nil
	case json.Number:
		return value{kind: kindNumber, number: saturate(string(t))}, nil
	case string:
		return value{kind: kindString, text: cString(t)}, nil
	case json.Delim:
		return readNested(dec, t, depth)
	}
	return value{}, nil
}

func readNested(dec *json.Decoder, open json.Delim, depth int) (value, error) {
	v := value{kind: kindArray}
	if open == '{' {
		v.kind = kindObject
	}
	for dec.More() {
		if v.kind == kindObject {
			name, err := dec.Token()
			if err != nil {
				return value{}, errJSON
			}
			v.names = append(v.names, cString(name.(string)))
		}
		item, err := readValue(dec, depth+1)
		if err != nil {
			return value{}, err
		}
		v.items = append(v.items, item)
	}
	if _, err := dec.Token(); err != nil {
		return value{}, errJSON
	}
	return v, nil
}

// cString cuts at the first NUL: no name that MQTT can carry has one.
func cString(s string) string {
	s, _, _ = strings.Cut(s, "\x00")
	return s
}

func saturate(number string) int32 {
	f, _ := strconv.ParseFloat(number, 64) // out of range is infinite, which saturates too
	return int32(min(max(f, math.MinInt32), math.MaxInt32))
}

// get returns a member of an object, or nil.
func (v *value) get(name string) *value {
	if i := indexFold(v.names, name); i >= 0 {
		return &v.items[i]
	}
	return nil
}

// array returns the items of a member that is an array.
func (v *value) array(name string) (items []value, ok bool) {
	m := v.get(name)
	if m == nil || m.kind != kindArray {
		return nil, false
	}
	return m.items, true
}

// string returns a member that is a string.
func (v *value) string(name string) (text string, ok bool) {
	m := v.get(name)
	if m == nil || m.kind != kindString {
		return "", false
	}
	return m.text, true
}

// int returns a member that is a number, otherwise what is there instead of one.
func (v *value) int(name string, otherwise int32) int32 {
	m := v.get(name)
	if m == nil || m.kind != kindNumber {
		return otherwise
	}
	return m.number
}

// yes reports whether a member is true.
func (v *value) isTrue(name string) bool {
	m := v.get(name)
	return m != nil && m.yes
}
