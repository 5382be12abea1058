// A TPM that is busy twice, and that then answers one PCR_Read with a wrong digest: go run client.go SOCKET
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
)

type line = map[string]any

// script is one connection to the --script-socket of a TPM.
type script struct {
	*json.Encoder
	*json.Decoder
}

func open(path string) script {
	connection, err := net.Dial("unix", path)
	if err != nil {
		log.Fatal(err)
	}
	return script{json.NewEncoder(connection), json.NewDecoder(connection)}
}

// ask sends a line, if there is one, and returns the next.
func (s script) ask(request line) (answer line) {
	if request != nil {
		s.Encode(request)
	}
	if err := s.Decode(&answer); err != nil || answer["error"] != nil {
		log.Fatal(err, answer["error"])
	}
	return answer
}

func main() {
	faults, takes := open(os.Args[1]), open(os.Args[1])
	busy := faults.ask(line{"fault": "GetRandom#1-2: rc=RETRY"})["ok"]
	takes.ask(line{"take": "PCR_Read"})
	fmt.Println("ready")
	struck := faults.ask(line{"wait": busy, "times": 2})["ok"].(line)["struck"]
	faults.ask(line{"remove": busy})
	taken := takes.ask(nil) // this command waits for us: have the TPM execute it, and give its client another response
	response := takes.ask(line{"n": taken["n"], "command": taken["command"]})["response"].(string)
	takes.Encode(line{"n": taken["n"], "response": response[:len(response)-2] + "ff"})
	takes.ask(line{"list": true}) // answered after what was told before
	fmt.Printf("struck %v times, answered command %v\n", struck, taken["n"])
}
