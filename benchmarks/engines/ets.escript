#!/usr/bin/env escript
%%! -noshell
%% A table of ETS, and processes that go through plans on it. The benchmark starts
%% this and talks to it in lines; see ets.cc for what is said.
%%
%% Asked key by key from outside, it would be the pipe that is measured. So whole
%% plans come as files, drawn by the benchmark as those of other engines are, and
%% what was measured goes back.

-mode(compile).

-record(job, {table, directory, stop, batch, every, key_bytes, value_bytes, noise}).

%% One operation in so many is timed, a different one of them each time.
-define(SAMPLE_EVERY, 16).
%% Bytes by which key and value are told to belong together.
-define(STAMP_BYTES, 8).

main([Directory]) ->
    Table = ets:new(bench, [set, public, {read_concurrency, true}, {write_concurrency, true},
                            {decentralized_counters, true}]),
    Main = self(),
    spawn_link(fun() -> read_lines(Main) end),
    io:format("ready~n"),
    serve(Table, Directory).

%% The benchmark that goes away closes the pipe.
read_lines(Main) ->
    case io:get_line("") of
        Line when is_list(Line) ->
            Main ! {line, string:lexemes(Line, " \n")},
            read_lines(Main);
        _ ->
            halt(0)
    end.

serve(Table, Directory) ->
    receive
        {line, ["run" | Numbers]} ->
            run(Table, Directory, [list_to_integer(Number) || Number <- Numbers]);
        {line, ["memory", ValueBytes]} ->
            io:format("memory ~b~n", [memory(Table, list_to_integer(ValueBytes))])
    end,
    serve(Table, Directory).

%% What the table says of itself, and the values that are too long to lie in it.
memory(Table, ValueBytes) ->
    Outside = case ValueBytes > 64 of true -> ValueBytes; false -> 0 end,
    ets:info(Table, memory) * erlang:system_info(wordsize) + ets:info(Table, size) * Outside.

%% The last `Helpers` of the workers go on until the others have ended.
run(Table, Directory, [Leaders, Helpers, Batch, Every, KeyBytes, ValueBytes | Limits]) ->
    Stop = atomics:new(2, []),
    Job = #job{table = Table, directory = Directory, stop = Stop, batch = Batch, every = Every,
               key_bytes = KeyBytes, value_bytes = ValueBytes,
               noise = binary:copy(<<"n">>, ValueBytes - ?STAMP_BYTES)},
    Main = self(),
    Workers = [{Pid, Number} ||
        {Number, Limit} <- lists:zip(lists:seq(0, Leaders + Helpers - 1), Limits),
        Flag <- [case Number < Leaders of true -> 1; false -> 2 end],
        {Pid, _} <- [spawn_monitor(fun() -> work(Main, Job, Number, Flag, Limit) end)]],
    [receive {drawn, Pid} -> ok; {'DOWN', _, process, Pid, Why} -> fail(Why) end || {Pid, _} <- Workers],
    io:format("drawn~n"),
    receive {line, ["go"]} -> ok end,
    [Pid ! go || {Pid, _} <- Workers],
    {Led, Helped} = lists:split(Leaders, Workers),
    First = collect(Led, Stop),
    atomics:put(Stop, 2, 1),
    Results = First ++ collect(Helped, Stop),
    [persistent_term:erase({plan, Number}) || {_, Number} <- Workers],
    io:format("done~s~n", [[io_lib:format(" ~b ~b ~b", [Count, Began, Ended]) || {Count, Began, Ended} <- Results]]).

collect(Workers, Stop) -> [result_of(Pid, Stop) || {Pid, _} <- Workers].

result_of(Pid, Stop) ->
    receive
        {line, ["stop"]} ->
            atomics:put(Stop, 1, 1),
            result_of(Pid, Stop);
        {'DOWN', _, process, Pid, {done, Result}} -> Result;
        {'DOWN', _, process, Pid, Why} -> fail(Why)
    end.

fail({wrong, Key, What}) -> end_with(io_lib:format("wrong data: key ~s ~s", [Key, What]));
fail(Why) -> end_with(io_lib:format("~0p", [Why])).

end_with(Text) ->
    io:format("failed ~s~n", [Text]),
    halt(1).

%% A plan is a persistent term: reading it copies nothing, and no collection of
%% garbage goes over it.
work(Main, Job, Number, Flag, Limit) ->
    persistent_term:put({plan, Number}, read_plan(Job, Number)),
    garbage_collect(),
    Main ! {drawn, self()},
    receive go -> ok end,
    Plan = persistent_term:get({plan, Number}),
    Began = now_ns(),
    {Count, Samples} =
        case Job#job.batch of
            0 -> one_by_one(Plan, Plan, 0, Limit, Flag, Job, []);
            _ -> batches(Plan, Plan, 0, Limit, Flag, Job, [])
        end,
    Ended = now_ns(),
    Data = << <<Sample:64/little>> || Sample <- Samples >>,
    ok = file:write_file(name(Job, "samples", Number), Data),
    exit({done, {Count, Began, Ended}}).

name(Job, Kind, Number) -> filename:join(Job#job.directory, Kind ++ "." ++ integer_to_list(Number)).

read_plan(Job, Number) ->
    {ok, Data} = file:read_file(name(Job, "plan", Number)),
    Zeros = binary:copy(<<"0">>, Job#job.key_bytes - 8),
    [{Kind, <<Zeros/binary, (hex(Key))/binary>>} || <<Key:32/little, Kind:8>> <= Data].

hex(Number) -> << <<(digit(Nibble))>> || <<Nibble:4>> <= <<Number:32>> >>.

digit(Nibble) when Nibble < 10 -> $0 + Nibble;
digit(Nibble) -> $a + Nibble - 10.

now_ns() -> erlang:monotonic_time(nanosecond).

stopped(Count, Flag, Job) -> Count band 15 =:= 0 andalso atomics:get(Job#job.stop, Flag) =:= 1.

one_by_one(_, _, Count, Limit, _, _, Samples) when Count >= Limit -> {Count, Samples};
one_by_one([], Plan, Count, Limit, Flag, Job, Samples) ->
    one_by_one(Plan, Plan, Count, Limit, Flag, Job, Samples);
one_by_one([{Kind, Key} | Rest], Plan, Count, Limit, Flag, Job, Samples) ->
    case stopped(Count, Flag, Job) of
        true -> {Count, Samples};
        false ->
            case is_timed(Count, Job#job.every) of
                true ->
                    Start = now_ns(),
                    apply_step(Kind, Key, Job),
                    Taken = now_ns() - Start,
                    one_by_one(Rest, Plan, Count + 1, Limit, Flag, Job, [Taken | Samples]);
                false ->
                    apply_step(Kind, Key, Job),
                    one_by_one(Rest, Plan, Count + 1, Limit, Flag, Job, Samples)
            end
    end.

is_timed(_, 1) -> true;
is_timed(Count, Every) -> Count rem Every =:= Count div Every rem Every.

%% ETS has no call for several keys: a call of the benchmark is that many lookups.
batches(_, _, Count, Limit, _, _, Samples) when Count >= Limit -> {Count, Samples};
batches(Left, Plan, Count, Limit, Flag, Job, Samples) ->
    case atomics:get(Job#job.stop, Flag) of
        1 -> {Count, Samples};
        0 ->
            Size = min(Job#job.batch, Limit - Count),
            Start = now_ns(),
            Rest = look_up(Size, Left, Plan, Job),
            Taken = now_ns() - Start,
            batches(Rest, Plan, Count + Size, Limit, Flag, Job, [Taken | Samples])
    end.

look_up(0, Left, _, _) -> Left;
look_up(Size, [], Plan, Job) -> look_up(Size, Plan, Plan, Job);
look_up(Size, [{_, Key} | Rest], Plan, Job) ->
    expect(Key, Job),
    look_up(Size - 1, Rest, Plan, Job).

%% Numbers as in workload.h.
apply_step(0, Key, Job) -> expect(Key, Job);
apply_step(1, Key, Job) ->
    case ets:lookup(Job#job.table, Key) of
        [] -> ok;
        _ -> exit({wrong, Key, "is there, though nobody put it"})
    end;
apply_step(2, Key, Job) -> put_value(Key, Job);
apply_step(3, Key, Job) ->
    case ets:take(Job#job.table, Key) of
        [_] -> ok;
        [] -> exit({wrong, Key, "to be erased is missing"})
    end;
apply_step(4, Key, Job) ->
    expect(Key, Job),
    put_value(Key, Job).

expect(Key, Job) ->
    case ets:lookup(Job#job.table, Key) of
        [{_, <<Stamp:?STAMP_BYTES/binary, _/binary>> = Value}] ->
            case binary:part(Key, byte_size(Key), -?STAMP_BYTES) =:= Stamp
                     andalso byte_size(Value) =:= Job#job.value_bytes of
                true -> ok;
                false -> exit({wrong, Key, "has the value of another key"})
            end;
        _ -> exit({wrong, Key, "is missing"})
    end.

%% A value is made for each put, as other engines copy theirs.
put_value(Key, #job{table = Table, noise = Noise}) ->
    Stamp = binary:part(Key, byte_size(Key), -?STAMP_BYTES),
    ets:insert(Table, {Key, <<Stamp/binary, Noise/binary>>}).
