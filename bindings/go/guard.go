package kist

import "sync/atomic"

// guard lets Close meet running calls. It counts them; Close sets a bit, after which none enters,
// and whoever finds the count at zero then, Close or the last call, runs `free`: once.
type guard struct {
	state  atomic.Int64
	free   func()
	reason error // of refused calls, where it is not ErrClosed; set before close
}

const closedBit = int64(1) << 62

func (g *guard) enter() error {
	for {
		state := g.state.Load()
		if state&closedBit != 0 {
			return g.refuse()
		}
		if g.state.CompareAndSwap(state, state+1) {
			return nil
		}
	}
}

func (g *guard) refuse() error {
	if g.reason != nil {
		return g.reason
	}
	return ErrClosed
}

func (g *guard) exit() {
	if g.state.Add(-1) == closedBit {
		g.free()
	}
}

// close tells whether this call of it was the first.
func (g *guard) close() bool {
	for {
		state := g.state.Load()
		if state&closedBit != 0 {
			return false
		}
		if g.state.CompareAndSwap(state, state|closedBit) {
			if state == 0 {
				g.free()
			}
			return true
		}
	}
}

func (g *guard) closed() bool { return g.state.Load()&closedBit != 0 }
