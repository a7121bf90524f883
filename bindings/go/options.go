package kist

import (
	"bufio"
	"io"
	"os"
	"runtime"
	"syscall"

	"kist/raw"
)

// Options are names with values, for Open, OpenKeyspace and StartStream, which copy them. They
// belong to one goroutine at a time. The zero value and nil hold the standard values.
type Options struct{ core *options }

type options struct {
	guard
	h raw.Options
}

// ParseOptions makes options of text: "cache_size=256MiB; sync=interval:50ms".
func ParseOptions(text string) (*Options, error) {
	o := new(Options)
	if err := o.Parse(text); err != nil {
		o.Close()
		return nil, err
	}
	return o, nil
}

// enter gives the handle, 0 where nothing was set, and keeps Close from freeing it until exit.
func (o *Options) enter() (raw.Options, error) {
	if o == nil || o.core == nil {
		return 0, nil
	}
	return o.core.h, o.core.enter()
}

func (o *Options) exit() {
	if o != nil && o.core != nil {
		o.core.exit()
	}
}

func (o *Options) call(f func(h raw.Options) raw.Result, texts ...string) error {
	if err := checkText(texts...); err != nil {
		return err
	}
	if o.core == nil {
		r := raw.OptionsNew()
		if err := check(r); err != nil {
			return err
		}
		h := raw.Options(r.N)
		core := &options{h: h}
		core.free = func() { raw.OptionsFree(h) }
		runtime.SetFinalizer(core, func(core *options) { go core.close() })
		o.core = core
	}
	if err := o.core.enter(); err != nil {
		return err
	}
	defer o.core.exit()
	return check(f(o.core.h))
}

// Parse sets several options, all or none.
func (o *Options) Parse(text string) error {
	return o.call(func(h raw.Options) raw.Result { return raw.OptionsParse(h, text) }, text)
}

// Set sets one option; a name that begins with '?' is ignored where unknown.
func (o *Options) Set(name, value string) error {
	return o.call(func(h raw.Options) raw.Result { return raw.OptionsSet(h, name, value) }, name, value)
}

// SetUint64 sets one option to a number: bytes, microseconds, a count, 0 or 1.
func (o *Options) SetUint64(name string, value uint64) error {
	return o.call(func(h raw.Options) raw.Result { return raw.OptionsSetU64(h, name, value) }, name)
}

// Get is the value of one option as text; of an unset one its standard value.
func (o *Options) Get(name string) (value string, err error) {
	err = o.call(func(h raw.Options) raw.Result {
		buf := make([]byte, 64)
		r := raw.OptionsGet(h, name, buf)
		if r.RC == raw.TRUNCATED {
			buf = make([]byte, r.N+1)
			r = raw.OptionsGet(h, name, buf)
		}
		value = string(buf[:r.N])
		return r
	}, name)
	return value, err
}

// Close frees the options. Databases that were opened with them have their own copy.
func (o *Options) Close() {
	if o != nil && o.core != nil {
		o.core.close()
	}
}

// OptionInfo describes an option.
type OptionInfo = raw.OptionInfo

// What an option is for: bits of OptionInfo.Flags.
const (
	OptionDatabase = raw.OPTION_DATABASE // for Open
	OptionKeyspace = raw.OPTION_KEYSPACE // for OpenKeyspace
	OptionLive     = raw.OPTION_LIVE     // for DB.SetOption
)

// DescribeOptions lists all options with their types, bounds and meaning.
func DescribeOptions() []OptionInfo {
	var list []OptionInfo
	for {
		info, rc := raw.OptionDescribe(len(list))
		if rc != raw.OK {
			return list
		}
		list = append(list, info)
	}
}

// LogLevel is how much a message matters.
type LogLevel int32

const (
	LogDebug LogLevel = raw.LOG_DEBUG
	LogInfo  LogLevel = raw.LOG_INFO
	LogWarn  LogLevel = raw.LOG_WARN
	LogError LogLevel = raw.LOG_ERROR
)

// SetLogger has a database that is opened with these options log, from level on. Messages arrive a
// little later, one after the other, on a goroutine of their own; it ends with the last options and
// database that log to it. A logger that is too slow loses messages, it never holds up the engine.
func (o *Options) SetLogger(level LogLevel, log func(level LogLevel, message string)) error {
	if log == nil {
		return o.call(func(h raw.Options) raw.Result { return raw.OptionsSetLogger(h, int32(level), -1) })
	}
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return err
	}
	err := o.call(func(h raw.Options) raw.Result {
		return raw.OptionsSetLogger(h, int32(level), ends[1])
	})
	if err != nil {
		syscall.Close(ends[0])
		syscall.Close(ends[1])
		return err
	}
	go readLog(os.NewFile(uintptr(ends[0]), "kist log"), log)
	return nil
}

func readLog(pipe *os.File, log func(LogLevel, string)) {
	defer pipe.Close()
	in := bufio.NewReaderSize(pipe, 1<<16)
	text := make([]byte, 1<<16)
	for {
		var head [3]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		n := int(head[1]) | int(head[2])<<8
		if _, err := io.ReadFull(in, text[:n]); err != nil {
			return
		}
		log(LogLevel(head[0]), string(text[:n]))
	}
}
