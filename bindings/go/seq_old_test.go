//go:build !go1.23

package kist

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A Go that has no package iter compiles and tests seq.go with a stand-in for it.
func TestSeqWithoutIter(t *testing.T) {
	inAFullRun(t)
	dir, here := t.TempDir(), mustDir(t)
	source := strings.Replace(read(t, "seq.go"), `"iter"`, `"kist/internal/iter"`, 1)
	stand := "package iter\n\ntype Seq2[K, V any] func(yield func(K, V) bool)\n"
	must(t, os.WriteFile(filepath.Join(dir, "seq.go"), []byte(source), 0o666))
	must(t, os.WriteFile(filepath.Join(dir, "iter.go"), []byte(stand), 0o666))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(here, "seq.go"):                filepath.Join(dir, "seq.go"),
		filepath.Join(here, "internal/iter/iter.go"): filepath.Join(dir, "iter.go"),
	}})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o666))
	got, err := exec.Command("go", "test", "-vet=off", "-tags", "go1.23", "-overlay",
		filepath.Join(dir, "overlay.json"), "-run", "^TestSeq$", "-v", ".").CombinedOutput()
	if err != nil || !strings.Contains(string(got), "--- PASS: TestSeq") {
		t.Fatalf("%v\n%s", err, got)
	}
}
