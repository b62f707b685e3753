// A stack processor of 16 bits whose program prints the Collatz sequence of a number over a serial line.

module serial(input clock, input start, input [7:0] byte_in, output busy, output line);
    parameter DIVIDER = 104;
    reg [9:0] bits = 10'h3ff;
    reg [3:0] left = 0;
    reg [7:0] wait_for = 0;
    assign line = bits[0];
    assign busy = left != 0;
    always @(posedge clock)
        if (!busy) begin
            if (start) begin
                bits <= {1'b1, byte_in, 1'b0};
                left <= 10;
                wait_for <= DIVIDER;
            end
        end else if (wait_for == 0) begin
            bits <= {1'b1, bits[9:1]};
            left <= left - 1;
            wait_for <= DIVIDER;
        end else
            wait_for <= wait_for - 1;
endmodule

module alu(input [3:0] what, input [15:0] a, input [15:0] b, output reg [15:0] y);
    always @*
        case (what)
            0: y = a + b;
            1: y = a - b;
            2: y = a & b;
            3: y = a | b;
            4: y = a ^ b;
            5: y = a >> b[3:0];
            6: y = a << b[3:0];
            7: y = {15'b0, a < b};
            8: y = {15'b0, a == b};
            9: y = a * b;
            default: y = b;
        endcase
endmodule

module processor(input clock, output line, output [3:0] lights);
    reg [15:0] program [0:255];
    reg [15:0] stack [0:15];
    reg [7:0] at = 0;
    reg [3:0] top = 0;
    reg [15:0] instruction = 16'hf000;
    reg [15:0] a = 0, b = 0;
    reg [1:0] phase = 0;
    reg start = 0;
    wire busy;
    wire [15:0] y;
    integer i;

    initial begin
        for (i = 0; i < 256; i = i + 1) program[i] = 16'hf000;
        program[0] = 16'h101b; // push 27
        program[1] = 16'h4000; // print
        program[2] = 16'h1001; // push 1
        program[3] = 16'h2002; // and
        program[4] = 16'h5008; // jump if zero
        program[5] = 16'h1003; // push 3
        program[6] = 16'h2009; // multiply
        program[7] = 16'h6001; // jump
        program[8] = 16'h1001;
        program[9] = 16'h2005; // shift right
        program[10] = 16'h6001;
    end

    alu compute(instruction[3:0], a, b, y);
    serial out(clock, start, a[7:0], busy, line);
    assign lights = a[3:0] ^ at[3:0];

    always @(posedge clock) begin
        start <= 0;
        phase <= phase + 1;
        case (phase)
            0: begin
                instruction <= program[at];
                b <= stack[top];
                a <= stack[top - 4'd1];
            end
            1: at <= at + 1;
            2: case (instruction[15:12])
                1: begin stack[top + 4'd1] <= {4'b0, instruction[11:0]}; top <= top + 1; end
                2: begin stack[top - 4'd1] <= y; top <= top - 1; end
                4: if (busy) at <= at - 1; else start <= 1;
                5: if (b == 0) at <= instruction[7:0];
                6: at <= instruction[7:0];
                default: ;
            endcase
            default: ;
        endcase
    end
endmodule
