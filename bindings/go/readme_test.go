package kist

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

// inAFullRun leaves out of the race detector's run what runs other programs.
func inAFullRun(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("in the long run")
	}
}

func mustDir(t *testing.T) string {
	t.Helper()
	here, err := os.Getwd()
	must(t, err)
	return here
}

// The first go block of README.md is a program: it is saved, built as README.md says, and run.
func TestReadme(t *testing.T) {
	inAFullRun(t)
	text := read(t, "README.md")
	program := regexp.MustCompile("(?s)```go\n(.*?)```").FindStringSubmatch(text)[1]
	steps := regexp.MustCompile("(?s)```sh\n(.*?)```").FindStringSubmatch(text)[1]
	output := regexp.MustCompile("(?s)```text\n(.*?)```").FindStringSubmatch(text)[1]
	here := mustDir(t)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o666))
	shell := exec.Command("sh", "-eu", "-c", strings.ReplaceAll(steps, "/path/to/kist", filepath.Join(here, "../..")))
	shell.Dir = dir
	shell.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off")
	got, err := shell.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(got), output) {
		t.Fatalf("%v\n%s", err, got)
	}
}

// The examples build, run, and say nothing of an error.
func TestExamples(t *testing.T) {
	inAFullRun(t)
	examples, _ := filepath.Glob("examples/*")
	for _, example := range examples {
		run := exec.Command("go", "run", "./"+example, filepath.Join(t.TempDir(), "db"))
		if got, err := run.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", example, err, got)
		}
	}
	if len(examples) == 0 {
		t.Fatal("no examples")
	}
}
