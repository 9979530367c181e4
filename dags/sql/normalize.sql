-- One row per domain and hour, from one row per scheduled flight (input `raw`, engine DuckDB).
--
-- The key is cast strictly: a row whose hour cannot be read must stop the run, not vanish from it. Measurements are
-- cast leniently, because types were inferred from text: a column that is empty all day has no type of its own, and a
-- reading such as "T" (a trace of rain) is a gap, not a fault.
with flight as (
    select
        domain::varchar as domain,
        origin::varchar as origin,
        -- The clocks of New York, without a zone: delays follow local hours. The column is on the hour already;
        -- date_trunc holds the promise of one row per hour for a source that is not.
        date_trunc('hour', time_hour::timestamp) as hour,
        -- Minutes; empty when the flight was cancelled.
        try_cast(dep_delay as double) as dep_delay,
        try_cast(distance as double) as distance,
        try_cast(temp as double) as temp,
        try_cast(dewp as double) as dewp,
        try_cast(humid as double) as humid,
        try_cast(wind_dir as double) as wind_dir,
        try_cast(wind_speed as double) as wind_speed,
        try_cast(wind_gust as double) as wind_gust,
        try_cast(precip as double) as precip,
        try_cast(pressure as double) as pressure,
        try_cast(visib as double) as visib
    from raw
)
select
    domain,
    -- A domain is one airport, so this only keeps (domain, hour) unique by construction.
    min(origin) as origin,
    hour,
    -- All that were scheduled: an hour in which every flight was cancelled is an hour with flights.
    count(*) as flights,
    -- The label. Null when no flight of the hour departed: there is nothing to learn from it, and 0 would be a lie.
    avg(dep_delay) as mean_dep_delay,
    -- The flights of an hour carry the same weather, which max takes as it stands; avg would round it, by an amount
    -- that depends on the order of the rows, and a retry would then not give the same bytes. Gaps stay gaps.
    max(temp) as temp,
    max(dewp) as dewp,
    max(humid) as humid,
    max(wind_dir) as wind_dir,
    max(wind_speed) as wind_speed,
    max(wind_gust) as wind_gust,
    max(precip) as precip,
    max(pressure) as pressure,
    max(visib) as visib,
    avg(distance) as distance,
    -- Features that are known before the hour begins.
    date_part('hour', hour) as hour_of_day,
    date_part('isodow', hour) as day_of_week, -- 1 is Monday
    date_part('month', hour) as month
from flight
group by domain, hour
-- Ordered, so that every try writes the same table.
order by domain, hour
