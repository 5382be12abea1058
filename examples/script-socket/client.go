// A TPM that is busy twice, and that then answers one PCR_Read with a wrong digest: go run client.go SOCKET
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
)

type Line map[string]any

// Script is one connection to the --script-socket of a TPM.
type Script struct {
	*json.Encoder
	*json.Decoder
}

func open(path string) Script {
	connection, err := net.Dial("unix", path)
	check(err)
	return Script{json.NewEncoder(connection), json.NewDecoder(connection)}
}

func (s Script) line() (line Line) {
	check(s.Decode(&line))
	if line["error"] != nil {
		panic(line["error"])
	}
	return line
}

func (s Script) ask(request Line) any {
	check(s.Encode(request))
	return s.line()["ok"]
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	faults, takes := open(os.Args[1]), open(os.Args[1])
	busy := faults.ask(Line{"fault": "GetRandom#1-2: rc=RETRY"})
	takes.ask(Line{"take": "PCR_Read"})
	fmt.Println("ready")

	struck := faults.ask(Line{"wait": busy, "times": 2, "timeout": 60}).(map[string]any)["struck"]
	faults.ask(Line{"remove": busy})

	taken := takes.line()                                            // this command waits for us
	check(takes.Encode(Line{"n": taken["n"], "command": taken["command"]})) // have the TPM execute it
	response := takes.line()["response"].(string)
	check(takes.Encode(Line{"n": taken["n"], "response": response[:len(response)-2] + "ff"}))
	takes.ask(Line{"list": true}) // answered after what was told before
	fmt.Printf("struck %v times, answered command %v\n", struck, taken["n"])
}
