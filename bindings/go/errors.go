package kist

import (
	"context"
	"strings"
	"syscall"

	"kist/raw"
)

// Code is a result of the library. It is an error, so that errors.Is(err, kist.ErrConflict) asks
// for one; codes that this version does not know are generic errors like any other.
type Code int32

// What a call may return. Each is described in kist.h.
const (
	ErrNotFound    Code = raw.NOT_FOUND     // the key has no visible value
	ErrInvalid     Code = raw.E_INVALID     // a bad argument, option or packed buffer
	ErrMisuse      Code = raw.E_MISUSE      // not allowed in this state
	ErrNoMemory    Code = raw.E_NOMEM       // out of memory
	ErrIO          Code = raw.E_IO          // the operating system refused or failed
	ErrCorrupt     Code = raw.E_CORRUPT     // stored bytes are not what was written
	ErrBusy        Code = raw.E_BUSY        // handles are alive
	ErrLocked      Code = raw.E_LOCKED      // the database is open for writing elsewhere
	ErrConflict    Code = raw.E_CONFLICT    // a transaction lost against another one; retry it
	ErrClosed      Code = raw.E_CLOSED      // the handle, or its database, has been closed
	ErrReadOnly    Code = raw.E_READONLY    // the database is open read-only
	ErrNoSpace     Code = raw.E_NOSPACE     // no space or quota
	ErrPoisoned    Code = raw.E_POISONED    // writes need close and open
	ErrExists      Code = raw.E_EXISTS      // there is something already
	ErrMissing     Code = raw.E_MISSING     // no such database, keyspace, backup or generation
	ErrTooNew      Code = raw.E_TOO_NEW     // a format that this library does not know
	ErrUnsupported Code = raw.E_UNSUPPORTED // not on this platform, file system or build
	ErrLimit       Code = raw.E_LIMIT       // key, value, batch or name over its limit
	ErrCancelled   Code = raw.E_CANCELLED   // a context ended the call
	ErrTimeout     Code = raw.E_TIMEOUT     // a context's deadline was over first
	ErrForked      Code = raw.E_FORKED      // the handle belongs to the parent process
	ErrPermission  Code = raw.E_PERMISSION  // the operating system does not allow it
	ErrInternal    Code = raw.E_INTERNAL    // a defect in Kist
)

// Name is the code's name in kist.h, "KIST_E_IO"; of an unknown one "KIST_E_UNKNOWN".
func (c Code) Name() string { return raw.RCName(int32(c)) }

// Error is a few words for a person.
func (c Code) Error() string { return "kist: " + raw.RCText(int32(c)) }

// Detail is a finer reason for a Code, for programs.
type Detail int32

// The details; new ones may be added.
const (
	DetailNone       Detail = raw.D_NONE
	DetailHandle     Detail = raw.D_HANDLE     // ErrMisuse: a handle that is none
	DetailConcurrent Detail = raw.D_CONCURRENT // ErrMisuse: in use by another goroutine
	DetailState      Detail = raw.D_STATE      // ErrMisuse: not in a state for this
	DetailOwner      Detail = raw.D_OWNER      // ErrMisuse: handles of different databases
	DetailNull       Detail = raw.D_NULL       // ErrInvalid: a required argument is missing
	DetailStruct     Detail = raw.D_STRUCT     // ErrInvalid: options that exclude each other
	DetailFlag       Detail = raw.D_FLAG       // ErrInvalid: an unknown flag, mode or format
	DetailRange      Detail = raw.D_RANGE      // ErrInvalid: a number or pair of keys
	DetailName       Detail = raw.D_NAME       // ErrInvalid: an unknown or unfit name
	DetailValue      Detail = raw.D_VALUE      // ErrInvalid: a known option, a bad value
	DetailPacked     Detail = raw.D_PACKED     // an operation of a packed batch
	DetailKeySize    Detail = raw.D_KEY_SIZE   // ErrLimit
	DetailValueSize  Detail = raw.D_VALUE_SIZE // ErrLimit
	DetailBatchSize  Detail = raw.D_BATCH_SIZE // ErrLimit
	DetailNameSize   Detail = raw.D_NAME_SIZE  // ErrLimit
	DetailBudget     Detail = raw.D_BUDGET     // ErrNoMemory: memory_budget is used up
)

// Error is what went wrong.
type Error struct {
	Code    Code
	Detail  Detail
	Errno   syscall.Errno // of the failed system call, or 0
	Aux     uint64        // ErrCorrupt: byte offset; ErrBusy: live handles; ErrLimit: the limit
	Message string        // one line for a person
	cause   error
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code.Error()
	}
	return "kist: " + e.Message + " (" + e.Code.Name() + ")"
}

// Is tells whether target is the error's Code.
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == e.Code
}

// Unwrap gives the context's error or the errno behind e, where there is one.
func (e *Error) Unwrap() error {
	if e.cause == nil && e.Errno != 0 {
		return e.Errno
	}
	return e.cause
}

// check makes the error of a result; codes >= 0 have none.
func check(r raw.Result) error {
	if r.RC >= 0 {
		return nil
	}
	return failed(&r)
}

func failed(r *raw.Result) *Error {
	d := r.Details()
	return &Error{
		Code: Code(d.Code), Detail: Detail(d.Detail), Errno: syscall.Errno(d.Errno), Aux: d.Aux,
		Message: d.Message,
	}
}

// ended is the error of a call that its context ended.
func ended(cause error) error {
	code := ErrCancelled
	if cause == context.DeadlineExceeded {
		code = ErrTimeout
	}
	return &Error{Code: code, Message: cause.Error(), cause: cause}
}

// checkText refuses what a C string cannot hold.
func checkText(texts ...string) error {
	for _, text := range texts {
		if strings.IndexByte(text, 0) >= 0 {
			return &Error{Code: ErrInvalid, Detail: DetailName, Message: "a NUL within a text"}
		}
	}
	return nil
}
