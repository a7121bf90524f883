//go:build go1.23

package kist

import "testing"

// The loops are written out, so that an older compiler takes them too: see bindings/run.
func TestSeq(t *testing.T) {
	ks := open(t, ":memory:", "").Default()
	for _, key := range []string{"a", "b", "c"} {
		must(t, ks.Put([]byte(key), []byte(key)))
	}
	got := ""
	ks.All(ScanOptions{})(func(e Entry, err error) bool {
		must(t, err)
		got += string(e.Key) + string(e.Value)
		return string(e.Key) != "b"
	})
	ks.Backward(ScanOptions{Lower: []byte("b")})(func(e Entry, err error) bool {
		must(t, err)
		got += string(e.Key)
		return true
	})
	if got != "aabbcb" {
		t.Fatal(got)
	}
	failed := false
	ks.All(ScanOptions{Prefix: make([]byte, 70000)})(func(e Entry, err error) bool {
		failed = err != nil
		return true
	})
	if !failed {
		t.Fatal("no error")
	}
}
