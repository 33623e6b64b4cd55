//go:build tools

// Package tools names the programs that run.mjs builds, so that go.mod and go.sum pin them with all that they need.
package tools

import (
	_ "github.com/fullstorydev/grpcurl/cmd/grpcurl"
	_ "github.com/ktr0731/evans"
)
