:- use_module(library(lists)).
queens(N, Qs) :- numlist(1, N, Ns), arranged(Ns, Qs), safe(Qs).
arranged([], []).
arranged(L, [X|P]) :- select(X, L, R), arranged(R, P).
safe([]).
safe([Q|Qs]) :- free(Q, Qs, 1), safe(Qs).
free(_, [], _).
free(Q, [R|Rs], D) :- Q =\= R + D, Q =\= R - D, E is D + 1, free(Q, Rs, E).
fact(0, 1) :- !.
fact(N, F) :- M is N - 1, fact(M, G), F is N * G.
expr(V) --> term(A), rest(A, V).
rest(A, V) --> "+", !, term(B), { C is A + B }, rest(C, V).
rest(V, V) --> [].
term(V) --> digits(Ds), { number_codes(V, Ds) }.
digits([D|Ds]) --> [D], { code_type(D, digit) }, digits(Ds).
digits([D]) --> [D], { code_type(D, digit) }.
hanoi(0, _, _, _, 0) :- !.
hanoi(N, A, B, C, M) :- K is N - 1, hanoi(K, A, C, B, L), hanoi(K, C, B, A, R), M is L + R + 1.
main :- queens(6, Q), write(Q), nl, fact(40, F), write(F), nl,
    findall(X-Y, (member(X, [1,2,3]), member(Y, [a,b])), L), write(L), nl,
    hanoi(10, l, m, r, M), write(M), nl,
    catch(atom_length(_, _), error(E, _), (write(caught(E)), nl)),
    atom_codes(A, [97, 98, 99]), atom_concat(A, def, B), write(B), nl,
    msort([c, 1, b, "s", f(x), 2.5], S), print(S), nl,
    Z is 2 ** 0.5 + max(3, 4) - 17 mod 5, write(Z), nl,
    length(V, 3), copy_term(V-V, W-_), length(W, Len), write(Len), nl.
